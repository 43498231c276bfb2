#!/usr/bin/env bash
my_dir="$(dirname "$0")"
. $my_dir/set_env.sh
CONFIG_FILE=config/config_inference.json
ENVIRONMENT_FILE=config/environment.json
python3 -u -m nvmidl.apps.evaluate \
    -m $MMAR_ROOT \
    -c $CONFIG_FILE \
    -e $ENVIRONMENT_FILE \
    --set \
    DATASET_JSON=$MMAR_ROOT/config/dataset.json \
    DATA_LIST_KEY=test MMAR_EVAL_OUTPUT_PATH=eval_test \
    do_validation=false output_infer_result=true
