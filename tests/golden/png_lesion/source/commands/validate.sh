#!/usr/bin/env bash
my_dir="$(dirname "$0")"
. $my_dir/set_env.sh
CONFIG_FILE=config/config_validation.json
ENVIRONMENT_FILE=config/environment.json
python3 -u -m nvmidl.apps.evaluate \
    -m $MMAR_ROOT \
    -c $CONFIG_FILE \
    -e $ENVIRONMENT_FILE \
    --set \
    DATASET_JSON=$MMAR_ROOT/config/dataset.json \
    do_validation=true output_infer_result=false
