"""Draw ``docs/figure.png`` after a training: ``python -m scripts.figure`` in the bundle's folder."""

import torch
from matplotlib.figure import Figure
from monai.bundle import ConfigParser

CUTS = {"axial": (2, 42), "coronal": (1, 50), "sagittal": (0, 10)}  # axis and position in the held-out half


def main() -> None:
    """Draw the held-out half in three cuts, with the outlines of the label (blue) and of the prediction (orange)."""
    parser = ConfigParser()
    parser.read_config("configs/train.json")
    case = parser.get_parsed_content("validate#dataset")[0]
    network, inferer = (parser.get_parsed_content(key) for key in ("network", "validate#inferer"))
    device = parser.get_parsed_content("device")
    network.load_state_dict(torch.load("models/model.pt", map_location=device, weights_only=True))
    with torch.no_grad():
        score = inferer(case["image"].as_tensor()[None].to(device), network.eval())[0, 0].sigmoid().cpu()
    figure = Figure(figsize=(12, 5.5), facecolor="black", layout="constrained")
    widths = [score.select(axis, 0).shape[0] for axis, _ in CUTS.values()]
    for axes, (view, (axis, position)) in zip(figure.subplots(1, 3, width_ratios=widths), CUTS.items(), strict=True):
        axes.imshow(case["image"][0].as_tensor().select(axis, position).T, origin="lower", cmap="gray")
        for volume, color in ((case["label"][0].as_tensor(), "#4c9be8"), (score, "#ff8c1a")):
            axes.contour(volume.select(axis, position).T, levels=[0.5], colors=color, linewidths=1.5)
        axes.set_title(view, color="white")
        axes.axis("off")
    figure.savefig("docs/figure.png", dpi=100)


if __name__ == "__main__":
    main()
