"""How a reader learns that a machine made a picture: IPTC's digital source type in an XMP packet.

https://iptc.org/std/photometadata/documentation/userguide/#_guidance_for_using_digital_source_type
"""

from enum import StrEnum

_VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"


class DigitalSource(StrEnum):
    """IPTC's terms: drawn by a trained model; or somebody's picture, changed by an algorithm."""

    TRAINED = "trainedAlgorithmicMedia"
    ENHANCED = "algorithmicallyEnhanced"


def xmp_packet(source: DigitalSource) -> str:
    """The packet that states the source and nothing else."""
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
        f'Iptc4xmpExt:DigitalSourceType="{_VOCABULARY}{source}"/>'
        "</rdf:RDF></x:xmpmeta>"
    )


def source_of(file: bytes) -> DigitalSource:
    """What a picture made from this file is: once drawn by a model, always so."""
    drawn = f"{_VOCABULARY}{DigitalSource.TRAINED}".encode() in file
    return DigitalSource.TRAINED if drawn else DigitalSource.ENHANCED
