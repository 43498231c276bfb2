"""Make the golden files with TensorFlow 1.15 (Python 3.7). Nothing in the tests needs either.

python3.7 -m venv tf115
tf115/bin/pip install "tensorflow==1.15.*" "protobuf<=3.20" "numpy<1.19"
tf115/bin/python tests/golden_tf/make.py
"""

import json
import shutil
import tempfile
import zipfile
from pathlib import Path

import networks
import numpy as np
import operations
import tensorflow.compat.v1 as tf
from seeded import seeded

HERE = Path(__file__).parent
SEED = 7


def save(folder, name):
    """Keep the files of a network in one archive, without its dates."""
    with zipfile.ZipFile(HERE / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.iterdir()):
            if path.name != "checkpoint":
                archive.writestr(zipfile.ZipInfo(path.name), path.read_bytes(), zipfile.ZIP_DEFLATED, 9)


def frozen(session, graph):
    names = ["NV_MODEL_OUTPUT"]
    return tf.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), names).SerializeToString()


def make_operations():
    """Store graph, input and output of every case."""
    graphs, outputs, cases = [], [], []
    for name, (shape, function) in operations.CASES.items():
        x = np.random.RandomState(3).standard_normal(shape).astype(np.float32)
        with tf.Graph().as_default() as graph, tf.Session(graph=graph) as session:
            tf.set_random_seed(1)
            image = tf.placeholder(tf.float32, [None] * len(shape), name="NV_MODEL_INPUT")
            image.set_shape([None] * (len(shape) - 1) + [shape[-1]])
            tf.identity(function(image), name="NV_MODEL_OUTPUT")
            session.run(tf.global_variables_initializer())
            feeds = {"NV_MODEL_INPUT:0": x}
            if "NV_IS_TRAINING" in [node.name for node in graph.as_graph_def().node]:
                feeds["NV_IS_TRAINING:0"] = False
            outputs.append(np.asarray(session.run("NV_MODEL_OUTPUT:0", feeds), np.float32))
            graphs.append(frozen(session, graph))
            cases.append({"name": name, "input": shape, "output": outputs[-1].shape, "bytes": len(graphs[-1])})
    flat = np.concatenate([output.reshape(-1) for output in outputs])
    joined = np.frombuffer(b"".join(graphs), np.uint8)
    np.savez_compressed(HERE / "operations.npz", cases=json.dumps(cases), graphs=joined, outputs=flat)


def make_network(name, build, size, layout, optimizer=False, adam=False, files=("ckpt", "fzn")):
    """Store checkpoint, training graph, frozen graph, input and output; channels come first in the stored arrays."""
    folder = Path(tempfile.mkdtemp())
    with tf.Graph().as_default() as graph, tf.Session(graph=graph) as session:
        tf.set_random_seed(SEED)
        output = build(layout)
        if adam:
            tf.train.AdamOptimizer(1e-4).minimize(tf.reduce_mean(output), tf.train.get_or_create_global_step())
        session.run(tf.global_variables_initializer())
        move_statistics(session)
        saver = tf.train.Saver()
        saver.save(session, str(folder / "model.ckpt"))
        if "fzn" in files:
            (folder / "model.fzn.pb").write_bytes(frozen(session, graph))
    x = np.random.RandomState(5).standard_normal(size).astype(np.float32)
    np.savez_compressed(folder / "io.npz", x=x, y=run_channels_last(build, folder / "model.ckpt", x))
    save(folder, name)
    shutil.rmtree(folder)


def move_statistics(session):
    """Let the statistics of batch norm differ from their start."""
    for index, variable in enumerate(tf.global_variables()):
        values = np.random.RandomState(index).uniform(0.5, 1.5, variable.shape.as_list())
        if "moving_" in variable.name or variable.name.endswith(("beta:0", "gamma:0")):
            session.run(variable.assign(values.astype(np.float32)))


def run_channels_last(build, prefix, x):
    """Run the twin with channels last, which a CPU can, from the same weights."""
    with tf.Graph().as_default() as graph, tf.Session(graph=graph) as session:
        build("last")
        tf.train.Saver().restore(session, str(prefix))
        feeds = {"NV_MODEL_INPUT:0": np.moveaxis(x, 1, -1), "NV_IS_TRAINING:0": False}
        return np.moveaxis(session.run("NV_MODEL_OUTPUT:0", feeds), -1, 1)


def make_training(name, build, size):
    """Store the output of one step with the statistics of the batch, and the moving statistics after it."""
    x = np.random.RandomState(5).standard_normal(size).astype(np.float32)
    with tf.Graph().as_default() as graph, tf.Session(graph=graph) as session:
        tf.set_random_seed(SEED)
        build("last")
        session.run(tf.global_variables_initializer())
        folder = Path(tempfile.mkdtemp())
        tf.train.Saver().save(session, str(folder / "model.ckpt"))
        feeds = {"NV_MODEL_INPUT:0": np.moveaxis(x, 1, -1), "NV_IS_TRAINING:0": True}
        output, _ = session.run(["NV_MODEL_OUTPUT:0", tf.get_collection(tf.GraphKeys.UPDATE_OPS)], feeds)
        moved = {v.op.name: session.run(v) for v in tf.global_variables() if "moving_" in v.name}
    np.savez_compressed(folder / "io.npz", x=x, y=np.moveaxis(output, -1, 1), **moved)
    save(folder, name)
    shutil.rmtree(folder)


def make_densenet121():
    """Store DenseNet121's graph and output; its weights follow from a seed, so that they need not be stored."""
    x = np.random.RandomState(5).standard_normal((2, 1, 40, 33)).astype(np.float32)
    with tf.Graph().as_default() as graph, tf.Session(graph=graph) as session:
        output = networks.densenet(2, (6, 12, 24, 16), 32, 64, 4, 1)
        variables = tf.global_variables()
        values = seeded({v.op.name: v.shape.as_list() for v in variables}, SEED)
        for variable in variables:
            variable.load(values[variable.op.name], session)
        feeds = {"NV_MODEL_INPUT:0": np.moveaxis(x, 1, -1), "NV_IS_TRAINING:0": False}
        y = session.run(output, feeds)
        folder = Path(tempfile.mkdtemp())
        meta = tf.train.export_meta_graph(clear_devices=True)
        (folder / "model.ckpt.meta").write_bytes(meta.SerializeToString())
    shapes = json.dumps({v.op.name: v.shape.as_list() for v in variables})
    np.savez_compressed(folder / "io.npz", x=x, y=y, shapes=shapes, seed=SEED)
    save(folder, "densenet121")
    shutil.rmtree(folder)


def main():
    tf.disable_v2_behavior()
    tf.disable_resource_variables()
    make_operations()
    net = networks.segresnet
    three = {"dims": 3, "filters": 2, "channels": 2, "classes": 3, "down": (1, 1), "up": (1,)}
    two = {**three, "dims": 2, "filters": 4}
    for kind in ("repeat", "half_pixel", "align_corners", "nearest"):
        build = lambda layout, kind=kind: net(layout=layout, upsampling=kind, **two)  # noqa: E731
        files = ("ckpt", "fzn") if kind == "repeat" else ("ckpt",)
        make_network(f"segresnet_2d_{kind}", build, (2, 2, 16, 24), "first", files=files)
    make_network("segresnet_3d_vae", lambda layout: net(layout=layout, vae=True, dropout=0.2, **{
        **three, "down": (1, 2, 1), "up": (1, 1), "channels": 1}), (1, 1, 8, 16, 12), "first", adam=True, files=(
            "ckpt",))  # fmt: skip
    make_network("segresnet_3d_last", lambda layout: net(
        layout=layout, activation="softmax", upsampling="half_pixel", **three), (2, 2, 8, 12, 16), "last")  # fmt: skip
    make_network("segresnet_2d_batch", lambda layout: net(layout=layout, kind="batch", activation="softmax", **two), (
        2, 2, 16, 8), "first")  # fmt: skip
    make_network("segresnet_2d_symmetric", lambda layout: net(layout=layout, padding="symmetric", **two), (
        2, 2, 16, 8), "first", files=("ckpt",))  # fmt: skip
    make_network("unet", networks.unet, (2, 1, 16, 12), "first", adam=True)
    make_network("unet_last", networks.unet, (2, 1, 16, 12), "last")
    make_training("unet_training", training_unet, (2, 1, 16, 12))
    make_densenet121()
    make_network("densenet_3d", lambda layout: networks.densenet(3, (1, 2), 2, 4, 3, 1, "softmax"), (
        1, 1, 20, 17, 24), "last", files=("ckpt",))  # fmt: skip


def training_unet(layout):
    """The U-Net without dropout, so that a training step has one right output."""
    dropout, tf.layers.dropout = tf.layers.dropout, lambda x, *args, **more: x
    try:
        return networks.unet(layout)
    finally:
        tf.layers.dropout = dropout


if __name__ == "__main__":
    main()
