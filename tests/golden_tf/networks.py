"""Small networks of our own in TensorFlow 1.15, with the variable names of Clara's checkpoints where those are public.

Run by `make.py` only. The residual network follows arXiv 1810.11654. `layout` is `first` or `last`: TensorFlow 1.15
builds a graph with channels first on a CPU but does not run it.
"""

import tensorflow.compat.v1 as tf

FORMATS = {"first": "channels_first", "last": "channels_last"}


def placeholders(channels, dims, layout):
    space = [None] * dims
    shape = [None, channels, *space] if layout == "first" else [None, *space, channels]
    image = tf.placeholder(tf.float32, shape, name="NV_MODEL_INPUT")
    return image, tf.placeholder(tf.bool, [], name="NV_IS_TRAINING")


def conv(x, filters, kernel, layout, stride=1, bias=False, name=None, padding="same"):
    layer = tf.layers.conv3d if len(x.shape) == 5 else tf.layers.conv2d
    name = name or layer.__name__
    initializer = tf.random_normal_initializer(stddev=0.3)
    return layer(
        x, filters, kernel, stride, padding, FORMATS[layout], use_bias=bias, name=name, kernel_initializer=initializer,
        bias_initializer=initializer,
    )  # fmt: skip


def group_norm(x, groups, layout, epsilon):
    dims, sizes = len(x.shape) - 2, tf.shape(x)
    channels = int(x.shape[1 if layout == "first" else -1])
    initializer = tf.random_normal_initializer(mean=1.0, stddev=0.3)
    gamma = tf.get_variable("gamma", [channels], initializer=initializer)
    beta = tf.get_variable("bias", [channels], initializer=initializer)
    if layout == "first":
        shape = tf.concat([sizes[:1], [groups, channels // groups], sizes[2:]], 0)
        axes, wide = list(range(2, dims + 3)), [1, channels] + [1] * dims
    else:
        shape = tf.concat([sizes[:-1], [groups, channels // groups]], 0)
        axes, wide = [*range(1, dims + 1), dims + 2], [1] * (dims + 1) + [channels]
    parts = tf.reshape(x, shape)
    mean, variance = tf.nn.moments(parts, axes, keep_dims=True)
    parts = (parts - mean) * tf.rsqrt(variance + epsilon)
    return tf.reshape(parts, sizes) * tf.reshape(gamma, wide) + tf.reshape(beta, wide)


def norm(x, kind, training, layout, epsilon=1e-5):
    with tf.variable_scope("batch_norm_scope"):
        if kind == "batch":
            return tf.layers.batch_normalization(x, 1 if layout == "first" else -1, training=training)
        return group_norm(x, 2, layout, epsilon)


def upsample(x, kind, layout):
    """Double the size of each axis; three axes as two resizings of two axes each."""
    dims = len(x.shape) - 2
    if layout == "first":
        x = tf.transpose(x, [0, *range(2, dims + 2), 1])
    sizes, channels = tf.shape(x), int(x.shape[-1])
    if dims == 2:
        x = resize(x, 2 * sizes[1:3], kind)
    else:
        x = tf.reshape(x, tf.stack([sizes[0] * sizes[1], sizes[2], sizes[3], channels]))
        x = resize(x, 2 * sizes[2:4], kind)
        x = tf.reshape(x, tf.stack([sizes[0], sizes[1], 4 * sizes[2] * sizes[3], channels]))
        x = resize(x, tf.stack([2 * sizes[1], 4 * sizes[2] * sizes[3]]), kind)
        x = tf.reshape(x, tf.stack([sizes[0], 2 * sizes[1], 2 * sizes[2], 2 * sizes[3], channels]))
    return tf.transpose(x, [0, dims + 1, *range(1, dims + 1)]) if layout == "first" else x


def resize(x, size, kind):
    if kind == "nearest":
        return tf.image.resize_nearest_neighbor(x, size)
    modes = {"repeat": {}, "half_pixel": {"half_pixel_centers": True}, "align_corners": {"align_corners": True}}
    return tf.image.resize_bilinear(x, size, **modes[kind])


def block(x, filters, names, kind, training, layout):
    start = x
    for name in names:
        with tf.variable_scope(name):
            x = conv(tf.nn.relu(norm(x, kind, training, layout)), filters, 3, layout)
    return x + start


def segresnet(
    dims, layout, filters, channels, classes, down, up, kind="group", upsampling="repeat", activation="sigmoid",
    vae=False, dropout=0.0, padding="same",
):  # fmt: skip
    image, training = placeholders(channels, dims, layout)
    with tf.variable_scope("InitialConv"):
        x = conv(image, filters, 3, layout)
    if dropout:
        x = tf.layers.dropout(x, dropout, training=training)
    levels = []
    for level, blocks in enumerate(down):
        width = filters * 2**level
        for index in range(blocks):
            names = [f"Down{half}_{level}_{index}" for half in (0, 1)]
            x = block(x, width, names, kind, training, layout)
        levels.append(x)
        if level + 1 < len(down):
            with tf.variable_scope(f"DownscaleConvOne_{level}_{blocks - 1}"):
                x = strided(x, 2 * width, layout, padding)
    if vae:
        with tf.variable_scope("VAEFinal"):
            conv(x, 1, 1, layout, bias=True)
    for level, blocks in enumerate(up):
        width = filters * 2 ** (len(up) - 1 - level)
        with tf.variable_scope(f"UpscaleConvOne_{level}"):
            x = conv(x, width, 1, layout)
        x = upsample(x, upsampling, layout) + levels[-2 - level]
        for index in range(blocks):
            x = block(x, width, [f"Up{half}_{level}_{index}" for half in (0, 1)], kind, training, layout)
    with tf.variable_scope("Final"):
        x = conv(tf.nn.relu(norm(x, kind, training, layout)), classes, 1, layout, bias=True)
    return finish(x, activation, layout)


def strided(x, filters, layout, padding):
    """Halve the size: padded as TensorFlow does, or by one voxel on each side as PyTorch does."""
    if padding == "same":
        return conv(x, filters, 3, layout, 2)
    pads = [[1, 1]] * (len(x.shape) - 2)
    around = [[0, 0], [0, 0], *pads] if layout == "first" else [[0, 0], *pads, [0, 0]]
    return conv(tf.pad(x, around), filters, 3, layout, 2, padding="valid")


def finish(x, activation, layout):
    axis = 1 if layout == "first" else -1
    outputs = {"sigmoid": tf.sigmoid, "softmax": lambda x: tf.nn.softmax(x, axis), "linear": tf.identity}
    return tf.identity(outputs[activation](x), name="NV_MODEL_OUTPUT")


def unet(layout):
    """A U-Net that somebody wrote: pooling, transposed convolution, batch norm, dropout, computed shapes."""
    image, training = placeholders(1, 2, layout)
    axis = 1 if layout == "first" else -1
    with tf.variable_scope("enc"):
        x = conv(image, 4, 3, layout, bias=True, name="a")
        x = tf.nn.leaky_relu(tf.layers.batch_normalization(x, axis, training=training))
    skip = x
    x = tf.layers.max_pooling2d(x, 2, 2, data_format=FORMATS[layout])
    x = tf.layers.dropout(x, 0.25, training=training)
    with tf.variable_scope("deep"):
        x = tf.nn.elu(conv(x, 8, 3, layout, bias=True, name="b"))
    with tf.variable_scope("dec"):
        initializer = tf.random_normal_initializer(stddev=0.3)
        x = tf.layers.conv2d_transpose(
            x, 4, 2, 2, "same", FORMATS[layout], kernel_initializer=initializer, name="up"
        )  # fmt: skip
        x = tf.concat([x, skip], axis)
        x = tf.nn.relu(tf.layers.batch_normalization(x, axis, training=training))
        x = conv(x, 2, 1, layout, bias=True, name="out")
    return finish(x, "softmax", layout)


def densenet(dims, blocks, growth, width, classes, channels, activation="linear"):
    """Keras' layers and names of DenseNet, of any number of blocks."""
    epsilon, layers = 1.001e-5, tf.keras.layers
    image, training = placeholders(channels, dims, "last")
    conv_layer = layers.Conv2D if dims == 2 else layers.Conv3D
    pad_layer = layers.ZeroPadding2D if dims == 2 else layers.ZeroPadding3D
    max_layer = layers.MaxPooling2D if dims == 2 else layers.MaxPooling3D
    mean_layer = layers.AveragePooling2D if dims == 2 else layers.AveragePooling3D

    def bn_relu(x, name):
        x = tf.layers.batch_normalization(x, epsilon=epsilon, momentum=0.99, training=training, name=name + "_bn")
        return tf.nn.relu(x)

    x = conv_layer(width, 7, strides=2, use_bias=False, name="conv1/conv")(pad_layer(3)(image))
    x = max_layer(3, strides=2)(pad_layer(1)(bn_relu(x, "conv1")))
    for stage, count in enumerate(blocks, start=2):
        for index in range(1, count + 1):
            name = f"conv{stage}_block{index}"
            y = conv_layer(4 * growth, 1, use_bias=False, name=name + "_1_conv")(bn_relu(x, name + "_0"))
            y = bn_relu(y, name + "_1")
            y = conv_layer(growth, 3, padding="same", use_bias=False, name=name + "_2_conv")(y)
            x = tf.concat([x, y], -1)
        if stage < len(blocks) + 1:
            x = bn_relu(x, f"pool{stage}")
            x = conv_layer(int(x.shape[-1]) // 2, 1, use_bias=False, name=f"pool{stage}_conv")(x)
            x = mean_layer(2, strides=2)(x)
    x = tf.reduce_mean(bn_relu(x, "final"), list(range(1, dims + 1)))
    x = layers.Dense(classes, name="head")(x)
    return finish(x, activation, "last")
