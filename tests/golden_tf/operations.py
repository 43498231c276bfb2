"""One small graph per operation of the executor, and per kind of padding, layout and mode. Run by `make.py` only."""

import numpy as np
import tensorflow.compat.v1 as tf

CASES = {}


def case(*shape):
    def register(function):
        CASES[function.__name__] = (shape, function)
        return function

    return register


def const(*values):
    return tf.constant(np.array(values, np.float32))


def weights(*shape):
    return tf.constant(np.random.RandomState(1).standard_normal(shape).astype(np.float32))


def add(name, shape, function):
    CASES[name] = (shape, function)


IMAGE, VOLUME = (2, 6, 5, 3), (1, 4, 5, 6, 2)
RAW = tf.raw_ops
for name in (
    "Abs", "Ceil", "Elu", "Erf", "Exp", "Floor", "Inv", "LeakyRelu", "Neg", "Reciprocal", "Relu", "Relu6", "Rint", "Round",
    "Selu", "Sigmoid", "Sign", "Softplus", "Softsign", "Square", "Tanh",
):  # fmt: skip
    keyword = "features" if name in ("Elu", "LeakyRelu", "Relu", "Relu6", "Selu", "Softplus", "Softsign") else "x"
    add(name, IMAGE, lambda x, name=name, keyword=keyword: getattr(RAW, name)(**{keyword: 3 * x}))
for name in ("Log", "Log1p", "Rsqrt", "Sqrt"):
    add(name, IMAGE, lambda x, name=name: getattr(RAW, name)(x=tf.abs(x) + 0.1))
for name in ("Softmax", "LogSoftmax"):
    add(name, IMAGE, lambda x, name=name: getattr(RAW, name)(logits=x))
for name in (
    "Add", "AddV2", "Sub", "Mul", "RealDiv", "Div", "FloorDiv", "FloorMod", "Maximum", "Minimum", "SquaredDifference",
):  # fmt: skip
    add(name, IMAGE, lambda x, name=name: getattr(RAW, name)(x=x, y=const(0.5, -1.5, 2.0)))
    add(f"{name}_shapes", IMAGE, lambda x, name=name: x * tf.cast(
        getattr(RAW, name)(x=tf.shape(x), y=tf.constant([2, 4, 3, 7])) if name not in ("RealDiv",)
        else RAW.RealDiv(x=tf.cast(tf.shape(x), tf.float32), y=const(2, 4, 3, 7)), tf.float32)[1])  # fmt: skip
add("Pow", IMAGE, lambda x: RAW.Pow(x=tf.abs(x) + 0.1, y=const(0.5, 2.0, -1.0)))
add("Pow_shapes", IMAGE, lambda x: x * tf.cast(tf.shape(x)[1] ** 2, tf.float32) ** 0.5)
for name in ("Greater", "GreaterEqual", "Less", "LessEqual", "Equal", "NotEqual"):
    add(name, IMAGE, lambda x, name=name: tf.cast(getattr(RAW, name)(x=tf.round(x), y=const(0, 1, -1)), tf.float32))
    add(f"{name}_switch", IMAGE, lambda x, name=name: tf.cond(
        getattr(RAW, name)(x=tf.shape(x)[1], y=6), lambda: x + 1, lambda: x * 2))  # fmt: skip
add("LogicalAnd", IMAGE, lambda x: tf.cast(tf.logical_and(x > 0, x < 1), tf.float32))
add("LogicalOr", IMAGE, lambda x: tf.cast(tf.logical_or(x > 1, x < 0), tf.float32))
add("LogicalNot", IMAGE, lambda x: tf.cast(tf.logical_not(x > 0), tf.float32))
add("logical_host", IMAGE, lambda x: tf.cond(
    tf.logical_and(tf.logical_or(tf.shape(x)[1] > 9, tf.shape(x)[2] > 2), tf.logical_not(tf.shape(x)[0] > 7)),
    lambda: x + 1, lambda: x * 2))  # fmt: skip
add("AddN", IMAGE, lambda x: tf.add_n([x, 2 * x, x * x]))
for name in ("Mean", "Sum", "Max", "Min", "Prod"):
    for keep in (True, False):
        add(f"{name}_{keep}", IMAGE, lambda x, name=name, keep=keep: getattr(RAW, name)(
            input=x, axis=[1, -1], keep_dims=keep))  # fmt: skip
    add(f"{name}_none", IMAGE, lambda x, name=name: getattr(RAW, name)(input=x, axis=np.zeros(0, np.int32)))
    add(f"{name}_shapes", IMAGE, lambda x, name=name: x * tf.cast(
        getattr(RAW, name)(input=tf.shape(x)[1:], axis=[0]), tf.float32) / 100)  # fmt: skip
for name in ("All", "Any"):
    add(name, IMAGE, lambda x, name=name: tf.cast(getattr(RAW, name)(input=x > -1, axis=[1, 2]), tf.float32))
add("ArgMax", IMAGE, lambda x: tf.cast(tf.argmax(x, -1), tf.float32))
add("ArgMin", IMAGE, lambda x: tf.cast(tf.argmin(x, 1), tf.float32))
for a in (False, True):
    for b in (False, True):
        add(f"MatMul_{a}_{b}", (4, 4), lambda x, a=a, b=b: tf.matmul(x, weights(4, 4), a, b))
        add(f"BatchMatMul_{a}_{b}", (3, 4, 4), lambda x, a=a, b=b: RAW.BatchMatMul(
            x=x, y=weights(3, 4, 4), adj_x=a, adj_y=b))  # fmt: skip
        add(f"BatchMatMulV2_{a}_{b}", (3, 4, 4), lambda x, a=a, b=b: RAW.BatchMatMulV2(
            x=x, y=weights(4, 4), adj_x=a, adj_y=b))  # fmt: skip
add("BiasAdd", IMAGE, lambda x: tf.nn.bias_add(x, weights(3)))
add("LRN", IMAGE, lambda x: tf.nn.lrn(x, 1, 1.5, 0.3, 0.75))
add("L2Loss", IMAGE, lambda x: x * tf.nn.l2_loss(x))
for name in ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"):
    add(name, IMAGE, lambda x, name=name: getattr(RAW, name)(
        x=x, scale=weights(3), offset=weights(3), mean=weights(3), variance=tf.abs(weights(3)), epsilon=1e-3,
        is_training=False)[0])  # fmt: skip
for output in (0, 1, 2):
    add(f"FusedBatchNormV3_training_{output}", IMAGE, lambda x, output=output: tf.identity(RAW.FusedBatchNormV3(
        x=x, scale=weights(3), offset=weights(3), mean=np.zeros(0, np.float32), variance=np.zeros(0, np.float32),
        epsilon=1e-3, is_training=True)[output]))  # fmt: skip

for padding in ("SAME", "VALID"):
    for stride in (1, 2, 3):
        for kernel in (1, 2, 3, 4):
            add(f"Conv2D_{padding}_{kernel}_{stride}", (1, 7, 8, 2), lambda x, p=padding, s=stride, k=kernel: tf.nn.conv2d(
                x, weights(k, k, 2, 3), s, p))  # fmt: skip
        for name, function in (("MaxPool", tf.nn.max_pool2d), ("AvgPool", tf.nn.avg_pool2d)):
            add(f"{name}_{padding}_{stride}", IMAGE, lambda x, p=padding, s=stride, f=function: f(x, 3, s, p))
        for name, function in (("MaxPool3D", tf.nn.max_pool3d), ("AvgPool3D", tf.nn.avg_pool3d)):
            add(f"{name}_{padding}_{stride}", VOLUME, lambda x, p=padding, s=stride, f=function: f(x, 2, s, p))
        add(f"Conv3D_{padding}_{stride}", VOLUME, lambda x, p=padding, s=stride: tf.nn.conv3d(
            x, weights(3, 2, 3, 2, 2), [1, s, s, s, 1], p))  # fmt: skip
        add(f"Conv2DBackpropInput_{padding}_{stride}", (1, 4, 3, 2), lambda x, p=padding, s=stride:
            tf.layers.conv2d_transpose(x, 3, 3, s, p.lower(), kernel_initializer=tf.random_normal_initializer(seed=1)))  # fmt: skip
        add(f"Conv3DBackpropInputV2_{padding}_{stride}", (1, 2, 3, 2, 2), lambda x, p=padding, s=stride:
            tf.layers.conv3d_transpose(x, 2, 2, s, p.lower(), kernel_initializer=tf.random_normal_initializer(seed=1)))  # fmt: skip
    add(f"DepthwiseConv2dNative_{padding}", IMAGE, lambda x, p=padding: tf.nn.depthwise_conv2d(
        x, weights(3, 3, 3, 2), [1, 2, 2, 1], p))  # fmt: skip
    add(f"dilation_{padding}", (1, 9, 8, 2), lambda x, p=padding: tf.layers.conv2d(
        x, 3, 3, padding=p.lower(), dilation_rate=(2, 3), kernel_initializer=tf.random_normal_initializer(seed=1)))  # fmt: skip
    add(f"dilation3d_{padding}", (1, 7, 6, 8, 2), lambda x, p=padding: tf.layers.conv3d(
        x, 3, 3, padding=p.lower(), dilation_rate=2, kernel_initializer=tf.random_normal_initializer(seed=1)))  # fmt: skip
    add(f"atrous_{padding}", (1, 9, 8, 2), lambda x, p=padding: tf.nn.atrous_conv2d(x, weights(3, 3, 2, 3), 2, p))
add("Conv2D_EXPLICIT", IMAGE, lambda x: tf.nn.conv2d(x, weights(3, 3, 3, 2), 2, [[0, 0], [2, 1], [0, 1], [0, 0]]))
for name in ("ResizeBilinear", "ResizeNearestNeighbor"):
    for corners, half in ((False, False), (True, False), (False, True)):
        for size in ((12, 10), (9, 11), (3, 4), (1, 7)):
            add(f"{name}_{corners}_{half}_{size[0]}", IMAGE, lambda x, n=name, c=corners, h=half, s=size: getattr(RAW, n)(
                images=x, size=s, align_corners=c, half_pixel_centers=h))  # fmt: skip
add("SpaceToDepth", (1, 4, 6, 3), lambda x: tf.space_to_depth(x, 2))
add("DepthToSpace", (1, 2, 3, 12), lambda x: tf.depth_to_space(x, 2))

add("Identity", IMAGE, lambda x: tf.identity(x))
add(
    "passes",
    IMAGE,
    lambda x: RAW.Snapshot(input=tf.check_numerics(tf.stop_gradient(RAW.PreventGradient(input=x)), "no")),
)
add("PlaceholderWithDefault", IMAGE, lambda x: x * tf.placeholder_with_default(const(1, 2, 3), [3]))
add("Shape", IMAGE, lambda x: tf.reshape(x, [tf.shape(x)[0], -1]))
add("ShapeN", IMAGE, lambda x: tf.reshape(x, tf.concat(
    [tf.shape_n([x, x])[0][:1], tf.shape_n([x, x])[1][3:], [-1]], 0)))  # fmt: skip
add("Size", IMAGE, lambda x: x * tf.cast(tf.size(x), tf.float32))
add("Rank", IMAGE, lambda x: x * tf.cast(tf.raw_ops.Rank(input=x), tf.float32))
add("Pack", IMAGE, lambda x: tf.stack([x, 2 * x], 2))
add("Pack_shapes", IMAGE, lambda x: tf.reshape(x, tf.stack([tf.shape(x)[0] * tf.shape(x)[1], -1])))
add("Unpack", IMAGE, lambda x: tf.unstack(x, axis=3)[1])
add("Unpack_shapes", IMAGE, lambda x: tf.reshape(x, [tf.unstack(tf.shape(x))[2], -1]))
add("ConcatV2", IMAGE, lambda x: tf.concat([x, 2 * x], -1))
add("Concat", IMAGE, lambda x: RAW.Concat(concat_dim=1, values=[x, x + 1]))
add("Reshape", IMAGE, lambda x: tf.reshape(x, [2, -1, 3]))
add("ExpandDims", IMAGE, lambda x: tf.expand_dims(x, 2))
add("ExpandDims_shapes", IMAGE, lambda x: tf.reshape(x, tf.concat([tf.expand_dims(tf.shape(x)[1], 0), [-1]], 0)))
add("Squeeze", (1, 4, 1, 3), lambda x: tf.squeeze(x, [2]))
add("Squeeze_all", (1, 4, 1, 3), lambda x: tf.squeeze(x))
add("Squeeze_shapes", IMAGE, lambda x: tf.reshape(x, [tf.squeeze(tf.shape(x)[1:2]), -1]))
add("Transpose", IMAGE, lambda x: tf.transpose(x, [0, 3, 1, 2]))
add("Transpose_shapes", IMAGE, lambda x: x * tf.cast(
    tf.reshape(tf.transpose(tf.reshape(tf.shape(x), [2, 2]), [1, 0]), [4])[1], tf.float32))  # fmt: skip
add("Fill", IMAGE, lambda x: x + tf.fill(tf.shape(x), 2.5))
add("Fill_small", IMAGE, lambda x: x * tf.fill([3], 2.5))
add(
    "OnesLike", IMAGE, lambda x: x + RAW.OnesLike(x=x) * tf.cast(tf.reduce_sum(RAW.OnesLike(x=tf.shape(x))), tf.float32)
)
add(
    "ZerosLike",
    IMAGE,
    lambda x: x + RAW.ZerosLike(x=x) + tf.cast(tf.reduce_sum(RAW.ZerosLike(x=tf.shape(x))), tf.float32),
)
add("Tile", IMAGE, lambda x: tf.tile(x, [1, 2, 1, 3]))
add("Tile_shapes", IMAGE, lambda x: tf.reshape(x, tf.concat([tf.tile(tf.shape(x)[:1], [1]), [-1]], 0)))
add("BroadcastTo", (2, 1, 3), lambda x: tf.broadcast_to(x, [2, 4, 3]))
add("Cast", IMAGE, lambda x: tf.cast(tf.cast(3 * x, tf.int32), tf.float32))
add("Cast_bool", IMAGE, lambda x: tf.cast(tf.cast(tf.round(x), tf.bool), tf.float32))
add("Cast_shapes", IMAGE, lambda x: tf.reshape(x, [tf.cast(tf.cast(tf.shape(x)[1], tf.float32) * 0.5, tf.int32), -1]))
add("Split", IMAGE, lambda x: tf.split(x, 3, 3)[2])
add("Split_shapes", IMAGE, lambda x: tf.reshape(x, tf.concat([tf.split(tf.shape(x), 2)[1], [-1]], 0)))
add("SplitV", IMAGE, lambda x: tf.split(x, [2, -1, 1], 1)[1])
add("SplitV_shapes", IMAGE, lambda x: tf.reshape(x, tf.concat([tf.split(tf.shape(x), [1, 3])[1], [-1]], 0)))
add("Range", IMAGE, lambda x: tf.reduce_sum(x, tf.range(1, tf.rank(x) - 1)))
add("GatherV2", IMAGE, lambda x: tf.gather(x, [2, 0], axis=3))
add("GatherV2_shapes", IMAGE, lambda x: tf.reshape(x, tf.concat([tf.gather(tf.shape(x), [3, 1]), [-1]], 0)))
add("Gather", IMAGE, lambda x: RAW.Gather(params=x, indices=[1]))
add("Pad", IMAGE, lambda x: tf.pad(x, [[0, 0], [1, 2], [0, 1], [0, 0]]))
add("PadV2", IMAGE, lambda x: tf.pad(x, [[0, 0], [1, 2], [0, 1], [0, 0]], constant_values=3.0))
add("MirrorPad", IMAGE, lambda x: tf.pad(x, [[0, 0], [1, 2], [0, 1], [0, 0]], "REFLECT"))
add("MirrorPad_symmetric", IMAGE, lambda x: tf.pad(x, [[0, 0], [1, 2], [0, 1], [0, 0]], "SYMMETRIC"))
add("StridedSlice", IMAGE, lambda x: x[:, 1:5:2, -2, ..., tf.newaxis])
add("StridedSlice_back", IMAGE, lambda x: x[:, ::-1, 3:0:-2])
add("Slice", IMAGE, lambda x: tf.slice(x, [0, 1, 2, 0], [2, 3, -1, 1]))
add("Slice_shapes", IMAGE, lambda x: tf.reshape(x, tf.concat([tf.slice(tf.shape(x), [1], [2]), [-1]], 0)))
add("Select", IMAGE, lambda x: RAW.Select(condition=x > 0, x=x, y=2 * x))
add("Select_rows", IMAGE, lambda x: RAW.Select(condition=[True, False], x=x, y=2 * x))
add("SelectV2", IMAGE, lambda x: RAW.SelectV2(condition=x > 0, t=x, e=const(1, 2, 3)))
add("Select_shapes", IMAGE, lambda x: tf.reshape(x, tf.concat([tf.expand_dims(tf.where_v2(
    tf.shape(x)[1] > 2, tf.shape(x)[1], 1), 0), [-1]], 0)))  # fmt: skip
add("cond_false", IMAGE, lambda x: tf.cond(tf.placeholder(tf.bool, [], "NV_IS_TRAINING"), lambda: x + 1, lambda: x * 2))
add("ref_switch", IMAGE, lambda x: ref_switch(x))
add("RandomUniform", IMAGE, lambda x: tf.where(tf.random.uniform(tf.shape(x)) < 2.0, x, 0 * x))
add("RandomStandardNormal", IMAGE, lambda x: x + 0.0 * tf.random.normal(tf.shape(x)))
add("constants", IMAGE, lambda x: x * tf.cast(tf.constant(3, tf.int64), tf.float32) + tf.cast(
    tf.constant(2.5, tf.float16), tf.float32) + tf.cast(tf.constant(7, tf.uint8), tf.float32) + tf.cast(
    tf.constant(-2, tf.int8), tf.float32) + tf.cast(tf.constant(1.25, tf.float64), tf.float32) + tf.constant(
    2.0, shape=[1, 6, 5, 3]) + tf.cast(tf.constant(True), tf.float32))  # fmt: skip


def ref_switch(x):
    """The old form of a condition, by hand: a reference variable goes through RefSwitch and RefMerge."""
    variable = tf.Variable(const(1, 2, 3), use_resource=False, name="v")
    no, yes = RAW_REF.ref_switch(variable._ref(), tf.shape(x)[1] > 2)
    merged, _ = RAW_REF.ref_merge([no, yes])
    return x * merged


from tensorflow.python.ops import gen_control_flow_ops as RAW_REF  # noqa: N812
