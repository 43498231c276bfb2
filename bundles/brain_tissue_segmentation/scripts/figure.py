"""Draw ``docs/figure.png`` after a training: ``python -m scripts.figure`` in the bundle's folder."""

import torch
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from monai.bundle import ConfigParser

from .thresholds import best_pair, thresholded

COLORS = ListedColormap(["black", "#e0803c", "#f5e9d3"])  # background, grey, white matter
CUTS = {"axial": (2, 45), "coronal": (1, 38)}  # axis and position in the held-out half


def main() -> None:
    """One row per cut: what the network sees, the truth, what it says, and what the best thresholds say."""
    parser = ConfigParser()
    parser.read_config("configs/train.json")
    case = parser.get_parsed_content("validate#dataset")[0]
    image, label = case["image"].as_tensor(), case["label"].as_tensor()
    network, inferer = (parser.get_parsed_content(key) for key in ("network", "validate#inferer"))
    device = parser.get_parsed_content("device")
    network.load_state_dict(torch.load("models/model.pt", map_location=device, weights_only=True))
    with torch.no_grad():
        predicted = inferer(image[None].to(device), network.eval())[0].argmax(0).cpu()
    volumes = {
        "disturbed image": image[0],
        "label": label[0],
        "network": predicted,
        "best two thresholds": thresholded(image, *best_pair(image, label)[2:])[0],
    }
    figure = Figure(figsize=(12, 5), facecolor="black", layout="constrained")
    for row, (axis, position) in zip(
        figure.subplots(len(CUTS), len(volumes), height_ratios=[58, 94]), CUTS.values(), strict=True
    ):
        for axes, (title, volume) in zip(row, volumes.items(), strict=True):
            tissue = {"cmap": COLORS, "vmin": 0, "vmax": 2}
            look = {"cmap": "gray"} if title == "disturbed image" else tissue
            axes.imshow(volume.select(axis, position).T, origin="lower", interpolation="nearest", **look)
            axes.axis("off")
            if row[0].get_subplotspec().is_first_row():
                axes.set_title(title, color="white")
    figure.savefig("docs/figure.png", dpi=100)


if __name__ == "__main__":
    main()
