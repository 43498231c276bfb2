not a graph: the file stands for the weights of an MMAR
