#!/usr/bin/env bash
export MMAR_ROOT=$(dirname "$(dirname "$0")")
