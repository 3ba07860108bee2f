"""The envelopes of WS-Management's shell, as Windows writes them ([MS-WSMV] 3.1.4)."""

from __future__ import annotations

import base64
import re
import uuid
from typing import NamedTuple
from xml.etree import ElementTree
from xml.sax.saxutils import escape

SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
_NAMES = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "a": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    "w": "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
    "x": "http://schemas.xmlsoap.org/ws/2004/09/transfer",
    "rsp": SHELL,
}
_DECLARED = " ".join(f'xmlns:{short}="{name}"' for short, name in _NAMES.items())

TIMED_OUT = 2150858793
NO_SUCH_SHELL = 2150858843


class Request(NamedTuple):
    """One request."""

    action: str  # the last word of its address: Create, Command, Send, Receive, Signal, Delete
    message: str
    shell: str
    timeout_s: float
    body: ElementTree.Element

    def find(self, path: str) -> ElementTree.Element | None:
        return self.body.find(path, _NAMES)

    def text(self, path: str) -> str:
        return self.body.findtext(path, "", _NAMES)

    @property
    def command(self) -> str:
        """The id of the command that this request is about."""
        numbered = [node for node in self.body.iter() if "CommandId" in node.attrib]
        return numbered[0].get("CommandId", "") if numbered else ""


class SoapFault(Exception):
    """A SOAP fault."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def read(envelope: bytes) -> Request:
    root = ElementTree.fromstring(envelope)
    seconds = re.fullmatch(r"PT([\d.]+)S", root.findtext(".//w:OperationTimeout", "PT60S", _NAMES))
    body = root.find("s:Body", _NAMES)
    assert body is not None
    assert seconds
    return Request(
        root.findtext(".//a:Action", "", _NAMES).rpartition("/")[2],
        root.findtext(".//a:MessageID", "", _NAMES),
        root.findtext(".//w:Selector[@Name='ShellId']", "", _NAMES),
        float(seconds[1]),
        body,
    )


def write(request: Request | None, body: str) -> bytes:
    relates = f"<a:RelatesTo>{escape(request.message)}</a:RelatesTo>" if request else ""
    action = f"<a:Action>{SHELL}/{request.action}Response</a:Action>" if request else ""
    header = f"{action}<a:MessageID>uuid:{uuid.uuid4()}</a:MessageID>{relates}"
    return f"<s:Envelope {_DECLARED}><s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>".encode()


def created(shell: str) -> str:
    return (
        "<x:ResourceCreated><a:ReferenceParameters><w:SelectorSet>"
        f'<w:Selector Name="ShellId">{shell}</w:Selector></w:SelectorSet></a:ReferenceParameters></x:ResourceCreated>'
        f"<rsp:Shell><rsp:ShellId>{shell}</rsp:ShellId></rsp:Shell>"
    )


def started(command: str) -> str:
    return f"<rsp:CommandResponse><rsp:CommandId>{command}</rsp:CommandId></rsp:CommandResponse>"


def received(command: str, stdout: bytes, stderr: bytes, exit_code: int | None) -> str:
    streams = "".join(
        f'<rsp:Stream Name="{name}" CommandId="{command}">{base64.b64encode(content).decode()}</rsp:Stream>'
        for name, content in (("stdout", stdout), ("stderr", stderr))
        if content
    )
    state = "Running" if exit_code is None else "Done"
    code = "" if exit_code is None else f"<rsp:ExitCode>{exit_code}</rsp:ExitCode>"
    return (
        f"<rsp:ReceiveResponse>{streams}"
        f'<rsp:CommandState CommandId="{command}" State="{SHELL}/CommandState/{state}">{code}</rsp:CommandState>'
        "</rsp:ReceiveResponse>"
    )


def fault(soap_fault: SoapFault) -> str:
    return (
        "<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>w:TimedOut</s:Value></s:Subcode></s:Code>"
        f'<s:Reason><s:Text xml:lang="en-US">{escape(str(soap_fault))}</s:Text></s:Reason><s:Detail>'
        f'<f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" Code="{soap_fault.code}">'
        f"<f:Message>{escape(str(soap_fault))}</f:Message></f:WSManFault></s:Detail></s:Fault>"
    )
