"""``monai-auxops weights MMAR BUNDLE``: add Clara's weights to a migrated bundle."""

from __future__ import annotations

from pathlib import Path

from monai_auxops.weights.bundle_files import activation_of, network_of, write_bundle
from monai_auxops.weights.convert import convert
from monai_auxops.weights.errors import WeightsError
from monai_auxops.weights.verify import verify


def weights(mmar: Path, bundle: Path, image: list[Path], use_graph: bool = False) -> str:
    """Prove the weights, write them into the bundle and return the message for the user.

    Args:
        mmar: the MMAR, or its ``models`` folder.
        bundle: the bundle that ``migrate`` wrote.
        image: files on which to compare both networks; may be empty.
        use_graph: use Clara's graph itself as the network.

    Raises:
        WeightsError: the weights were refused, and nothing was written; or they were written and an image failed.
    """
    network_def = network_of(bundle)
    if str(network_def.get("_target_", "")).endswith(".GraphNetwork"):
        use_graph = True
    conversion = convert(mmar, network_def, activation_of(bundle), use_graph)
    try:
        write_bundle(conversion, bundle)
    except OSError as error:
        raise WeightsError(f"{bundle} cannot be written: {error}") from error
    lines = [conversion.sentence, f"written: {bundle / 'models' / 'model.pt'}"]
    if image:
        try:
            lines.append(verify(mmar, bundle, image).sentence)
        except WeightsError as error:
            raise WeightsError(f"{lines[0]}, and were written, but {error}") from error
    return "".join(f"{line}\n" for line in lines)
