"""Draw ``docs/figure.png`` after a training: ``python -m scripts.figure`` in the bundle's folder."""

import torch
from matplotlib.figure import Figure
from monai.bundle import ConfigParser

from .slices import VIEWS

COLUMNS = 12


def main() -> None:
    """Slices of the brain the network never saw, each with what the network says; wrong answers are orange."""
    parser = ConfigParser()
    parser.read_config("configs/train.json")
    dataset, network = (parser.get_parsed_content(key) for key in ("validate#dataset", "network"))
    device = parser.get_parsed_content("device")
    network.load_state_dict(torch.load("models/model.pt", map_location=device, weights_only=True))
    images = torch.stack([case["image"].as_tensor() for case in dataset])
    labels = torch.stack([case["label"] for case in dataset])
    with torch.no_grad():
        logits = network.eval()(images.to(device)).cpu()
    views, central = logits[:, :3].argmax(1), logits[:, 3].sigmoid()
    figure = Figure(figsize=(14, 4.6), facecolor="black", layout="constrained")
    for row, view in zip(figure.subplots(len(VIEWS), COLUMNS), range(len(VIEWS)), strict=True):
        mine = (labels[:, 0] == view).nonzero()[:, 0]
        for axes, i in zip(row, mine[torch.linspace(0, len(mine) - 1, COLUMNS).long()].tolist(), strict=True):
            axes.imshow(images[i, 0, 6:58, 6:58].T, origin="lower", cmap="gray")
            right = views[i] == view and (central[i] > 0.5) == (labels[i, 1] == 1)
            answer = f"{VIEWS[views[i]]}\n{'central' if central[i] > 0.5 else 'outer'} {central[i]:.2f}"
            axes.set_title(answer, color="white" if right else "#ff8c1a", fontsize=8)
            axes.axis("off")
    figure.savefig("docs/figure.png", dpi=100)


if __name__ == "__main__":
    main()
