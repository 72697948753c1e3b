package frame

import "github.com/rpcx-go/rpcx/runtime/status"

// AppendCancel appends a CANCEL frame: the caller abandons stream id and says
// why. code must not be OK.
func AppendCancel(b []byte, id StreamID, code status.Code) []byte {
	h := Header{Type: TypeCancel, ID: id, Code: uint16(code)}
	return h.Append(b)
}

func (h *Header) validateCancel() error {
	if h.Code == 0 || h.Code > maxStatus {
		return errorf(ProtocolError, "CANCEL: status %d, must be 1 to %d", h.Code, maxStatus)
	}
	return nil
}
