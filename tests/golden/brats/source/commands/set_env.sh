#!/usr/bin/env bash
MMAR_ROOT=${MMAR_ROOT:-$(dirname "$(dirname "$0")")}
export MMAR_ROOT
