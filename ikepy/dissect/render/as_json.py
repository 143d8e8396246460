"""A ladder as values for JSON. Octets are hexadecimal digits, times seconds since 1970."""

from __future__ import annotations

from ikepy.dissect.derivation import Step
from ikepy.dissect.ladder import Ladder
from ikepy.dissect.message import Message
from ikepy.dissect.names import EXCHANGES, short
from ikepy.dissect.tree import Layer, Node
from ikepy.sa.api.path import Endpoint

Value = dict[str, object]


def ladder_value(ladder: Ladder) -> Value:
    """The whole ladder."""
    return {"begin_s": ladder.begin_s, "messages": [message_value(one) for one in ladder]}


def message_value(message: Message) -> Value:
    """One message with all its layers."""
    return {
        "number": message.number,
        "time_s": message.time_s,
        "source": _endpoint(message.source),
        "destination": _endpoint(message.destination),
        "kind": message.kind.value,
        "summary": message.summary,
        "exchange": short(EXCHANGES, message.exchange) if message.exchange else None,
        "message_id": message.message_id,
        "is_response": message.is_response,
        "from_initiator": message.from_initiator,
        "spi_i": message.spi_i.hex(),
        "spi_r": message.spi_r.hex(),
        "copies_s": list(message.copies),
        "findings": list(message.findings),
        "problems": list(message.problems),
        "layers": [_layer(one) for one in message.layers],
    }


def _endpoint(end: Endpoint) -> Value:
    return {"address": str(end.address), "port": end.port}


def _layer(layer: Layer) -> Value:
    return {"name": layer.name, "octets": layer.octets.hex(), "node": node_value(layer.node)}


def step_value(step: Step) -> Value:
    """One step of a derivation."""
    return {
        "name": step.name,
        "formula": step.formula,
        "inputs": {name: octets.hex() for name, octets in step.inputs},
        "output": step.output.hex(),
        "note": step.note,
        "rfc": step.rfc,
    }


def node_value(node: Node) -> Value:
    """A node and all below it; `note` and `rfc` where there are any."""
    value: Value = {"name": node.name, "value": node.value, "start": node.start, "end": node.end}
    if node.note:
        value |= {"note": node.note, "rfc": node.rfc}
    if node.children:
        value["children"] = [node_value(child) for child in node.children]
    return value
