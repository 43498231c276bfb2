#!/usr/bin/env bash
my_dir="$(dirname "$0")"
. $my_dir/set_env.sh
CONFIG_FILE=config/config_train.json
ENVIRONMENT_FILE=config/environment.json
mpirun -np 2 -H localhost:2 --allow-run-as-root python3 -u -m nvmidl.apps.train -m $MMAR_ROOT -c $CONFIG_FILE -e $ENVIRONMENT_FILE --set epochs=300 learning_rate=0.0004 multi_gpu=true
