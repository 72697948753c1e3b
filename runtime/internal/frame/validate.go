package frame

// idRule says which stream ids a type may carry.
type idRule uint8

const (
	idAny idRule = iota
	idZero
	idStream
)

// rule is what a header of a type may look like. Fields not named by uses must
// be zero.
type rule struct {
	name     string
	flags    Flags
	id       idRule
	uses     fields
	min, max uint32 // of the payload; the connection's limit comes on top
}

type fields uint8

const (
	useArg fields = 1 << iota
	useCode
	useClass
	useFormat
)

// MaxGoAwayText bounds the text of a GOAWAY, in bytes.
const MaxGoAwayText = 1024

var rules = [...]rule{
	TypeSettings: {name: "SETTINGS", id: idZero, max: MaxSettings * settingSize},
	TypePing:     {name: "PING", flags: FlagAck | FlagChecksum, id: idZero, min: pingSize, max: pingSize},
	TypeGoAway:   {name: "GOAWAY", flags: FlagChecksum, id: idAny, uses: useCode, max: MaxGoAwayText},
	TypeCredit:   {name: "CREDIT", flags: FlagChecksum, id: idAny, uses: useArg},
	TypeOpen: {
		name: "OPEN",
		flags: FlagHalfClose | FlagMessage | FlagMore | FlagHeaders | FlagName | FlagRoute |
			FlagCallerStreams | FlagCalleeStreams | FlagTotal | FlagChecksum,
		id: idStream, uses: useArg | useCode | useClass | useFormat, max: MaxPayload,
	},
	TypeData: {
		name:  "DATA",
		flags: FlagHalfClose | FlagMessage | FlagMore | FlagHeaders | FlagCredited | FlagTotal | FlagChecksum,
		id:    idStream, uses: useFormat, max: MaxPayload,
	},
	TypeClose: {
		name:  "CLOSE",
		flags: FlagMessage | FlagHeaders | FlagTrailers | FlagDetail | FlagNotRun | FlagChecksum,
		id:    idStream, uses: useArg | useCode | useFormat, max: MaxPayload,
	},
	TypeCancel: {name: "CANCEL", flags: FlagChecksum, id: idStream, uses: useCode},
}

// maxStatus is the largest of the canonical status codes.
const maxStatus = 16

// Validate checks everything that a header alone can tell: the type is known
// or ignorable, the length is at most maxPayload and right for the type, flags
// are defined and make sense together, fields that the type does not use are
// zero. Of an unknown ignorable frame it checks the length only. The error is
// an *[Error]. Nothing is allocated on success.
func (h *Header) Validate(maxPayload uint32) error {
	if h.Length > maxPayload {
		return errorf(FrameSizeError, "%v: payload of %d bytes, the limit is MAX_FRAME = %d (option WithMaxFrameSize)", h.Type, h.Length, maxPayload)
	}
	if !h.Type.Known() {
		if h.Type.Ignorable() {
			return nil
		}
		return errorf(ProtocolError, "%v is unknown and not ignorable", h.Type)
	}
	r := &rules[h.Type]
	if h.Length < r.min || h.Length > r.max || h.Flags&^r.flags != 0 {
		return h.breach(r)
	}
	if (h.ID == 0 && r.id == idStream) || (h.ID != 0 && r.id == idZero) {
		return h.breach(r)
	}
	if h.Arg != 0 && r.uses&useArg == 0 || h.Code != 0 && r.uses&useCode == 0 ||
		h.Class != 0 && r.uses&useClass == 0 || h.Codec|h.Compression != 0 && r.uses&useFormat == 0 {
		return h.breach(r)
	}
	switch h.Type {
	case TypeOpen:
		return h.validateOpen()
	case TypeData:
		return h.validateData()
	case TypeClose:
		return h.validateClose()
	case TypeCancel:
		return h.validateCancel()
	case TypeCredit:
		return h.validateCredit()
	case TypeGoAway:
		return h.validateGoAway()
	}
	return nil
}

// breach names the first thing that r forbids in h.
func (h *Header) breach(r *rule) error {
	switch {
	case h.Length < r.min || h.Length > r.max:
		return errorf(FrameSizeError, "%s: payload of %d bytes, must be %d to %d", r.name, h.Length, r.min, r.max)
	case h.Flags&^r.flags != 0:
		return errorf(ProtocolError, "%s: undefined flags %s", r.name, (h.Flags &^ r.flags).hex())
	case h.ID == 0 && r.id == idStream:
		return errorf(ProtocolError, "%s: stream id 0", r.name)
	case h.ID != 0 && r.id == idZero:
		return errorf(ProtocolError, "%s: stream id %d, must be 0", r.name, h.ID)
	case h.Arg != 0 && r.uses&useArg == 0:
		return errorf(ProtocolError, "%s: arg %d, must be 0", r.name, h.Arg)
	case h.Code != 0 && r.uses&useCode == 0:
		return errorf(ProtocolError, "%s: code %d, must be 0", r.name, h.Code)
	case h.Class != 0 && r.uses&useClass == 0:
		return errorf(ProtocolError, "%s: class %d, must be 0", r.name, h.Class)
	default:
		return errorf(ProtocolError, "%s: format 0x%02x, must be 0", r.name, h.Codec|h.Compression<<4)
	}
}

func (h *Header) validateOpen() error {
	f := h.Flags
	if h.ID > MaxStreamID {
		return errorf(ProtocolError, "OPEN: stream id %d, the largest is %d", h.ID, MaxStreamID)
	}
	if h.Code == 0 && !f.Has(FlagName) {
		return errorf(ProtocolError, "OPEN: neither NAME nor a method id")
	}
	if f.Has(FlagCallerStreams) {
		if f&(FlagMessage|FlagMore|FlagTotal) != 0 {
			return errorf(ProtocolError, "OPEN: a message beside CALLER_STREAMS (flags %s)", f.hex())
		}
	} else {
		if !f.Has(FlagMessage) {
			return errorf(ProtocolError, "OPEN: neither MESSAGE nor CALLER_STREAMS (flags %s)", f.hex())
		}
		if f.Has(FlagHalfClose) == f.Has(FlagMore) {
			return errorf(ProtocolError, "OPEN: a single message wants either HALF_CLOSE or MORE (flags %s)", f.hex())
		}
		if f.Has(FlagMore) != f.Has(FlagTotal) {
			return errorf(ProtocolError, "OPEN: MORE and TOTAL go together (flags %s)", f.hex())
		}
	}
	if h.Compression != 0 && !f.Has(FlagMessage) {
		return errorf(ProtocolError, "OPEN: compression %d without MESSAGE", h.Compression)
	}
	return nil
}

func (h *Header) validateData() error {
	f := h.Flags
	if f&(FlagHalfClose|FlagMessage|FlagHeaders) == 0 {
		return errorf(ProtocolError, "DATA: none of HALF_CLOSE, MESSAGE, HEADERS")
	}
	if f&(FlagMore|FlagTotal|FlagCredited) != 0 && !f.Has(FlagMessage) {
		return errorf(ProtocolError, "DATA: MORE, TOTAL or CREDITED without MESSAGE (flags %s)", f.hex())
	}
	if f.Has(FlagTotal) && !f.Has(FlagMore) {
		return errorf(ProtocolError, "DATA: TOTAL without MORE (flags %s)", f.hex())
	}
	if f.Has(FlagMore | FlagHalfClose) {
		return errorf(ProtocolError, "DATA: MORE with HALF_CLOSE (flags %s)", f.hex())
	}
	if f.Has(FlagHeaders | FlagHalfClose) {
		return errorf(ProtocolError, "DATA: HEADERS is the callee's, HALF_CLOSE the caller's (flags %s)", f.hex())
	}
	if h.Codec|h.Compression != 0 && !f.Has(FlagMessage) {
		return errorf(ProtocolError, "DATA: format 0x%02x without MESSAGE", h.Codec|h.Compression<<4)
	}
	return nil
}

func (h *Header) validateClose() error {
	f := h.Flags
	if h.Code > maxStatus {
		return errorf(ProtocolError, "CLOSE: status %d, the largest is %d", h.Code, maxStatus)
	}
	if h.Code == 0 && (h.Arg != 0 || f&(FlagDetail|FlagNotRun) != 0) {
		return errorf(ProtocolError, "CLOSE: status 0 with push-back, DETAIL or NOT_RUN (flags %s)", f.hex())
	}
	if h.Code != 0 && f.Has(FlagMessage) {
		return errorf(ProtocolError, "CLOSE: a message beside status %d", h.Code)
	}
	if h.Codec|h.Compression != 0 && !f.Has(FlagMessage) {
		return errorf(ProtocolError, "CLOSE: format 0x%02x without MESSAGE", h.Codec|h.Compression<<4)
	}
	return nil
}
