#!/usr/bin/env bash
my_dir="$(dirname "$0")"
. $my_dir/set_env.sh
CONFIG_FILE=config/config_train.json
ENVIRONMENT_FILE=config/environment.json
python3 -u -m nvmidl.apps.train \
    -m $MMAR_ROOT \
    -c $CONFIG_FILE \
    -e $ENVIRONMENT_FILE \
    --write_train_stats \
    --set \
    DATASET_JSON=config/dataset_0.json \
    epochs=600 \
    learning_rate=0.0002 \
    multi_gpu=false
