package frame

import "encoding/binary"

const (
	// MaxName bounds a method's full name, in bytes.
	MaxName = 512
	// RouteSize is the length of a ROUTE section, in bytes.
	RouteSize = 8
	totalSize = 4
)

// Sections is the payload of an OPEN, DATA or CLOSE taken apart. The slices
// alias the payload. The header's flags say which sections there are: an empty
// slice may stand for an empty section or for none.
type Sections struct {
	Route    uint64 // hash to route by
	Name     []byte // "pkg.Service/Method"
	Headers  []byte // metadata block, see CheckMetadata
	Trailers []byte // metadata block
	Detail   []byte // detail block, see ParseDetail
	Message  []byte // message, or a fragment of it
	Missing  int    // bytes of the message, or fragment, behind Message, which have not been received
	Total    uint32 // bytes of the whole message as sent
}

// MessageSize returns the bytes of the message, or fragment, with those missing.
func (s *Sections) MessageSize() int { return len(s.Message) + s.Missing }

// BeforeMessage returns how many bytes of the payload of h, of which payload is
// the beginning, come before the message, or false if payload does not say.
func BeforeMessage(h *Header, payload []byte) (n int, ok bool) {
	if h.Flags.Has(FlagRoute) {
		n += RouteSize
	}
	for _, section := range [...]Flags{FlagName, FlagHeaders, FlagTrailers, FlagDetail} {
		if !h.Flags.Has(section) {
			continue
		}
		if n > len(payload) {
			return 0, false
		}
		size, used := uvarint(payload[n:])
		if used <= 0 {
			return 0, false
		}
		n += used + int(size)
	}
	if h.Flags.Has(FlagTotal) {
		n += totalSize
	}
	return n, true
}

// ParseSections takes the payload of h apart. h must have passed
// [Header.Validate], and payload be as long as it says, or its beginning with all
// sections and at least a byte of the message: the rest is Missing. Lengths are checked,
// as are name and fragment; blocks are only delimited. The error is an
// *[Error]. It does not allocate unless it fails.
func ParseSections(h *Header, payload []byte, s *Sections) error {
	*s = Sections{}
	rest := payload
	if h.Flags&flagSections != 0 {
		var err error
		if rest, err = s.parse(h, payload); err != nil {
			return err
		}
	}
	if !h.Flags.Has(FlagMessage) {
		if len(rest) != 0 {
			return errorf(ProtocolError, "%v: %d bytes behind the sections and no MESSAGE", h.Type, len(rest))
		}
		return nil
	}
	s.Message, s.Missing = rest, int(h.Length)-len(payload)
	if h.Flags.Has(FlagMore) && len(rest) == 0 {
		return errorf(ProtocolError, "%v: MORE with an empty fragment", h.Type)
	}
	if h.Flags.Has(FlagTotal) && uint64(s.Total) < uint64(s.MessageSize()) {
		return errorf(ProtocolError, "%v: TOTAL %d is less than the first fragment's %d bytes", h.Type, s.Total, s.MessageSize())
	}
	return nil
}

// parse reads the sections in their order and returns what is left.
func (s *Sections) parse(h *Header, payload []byte) (rest []byte, err error) {
	rest, flags := payload, h.Flags
	fail := func(section string) error {
		return errorf(ProtocolError, "%v: %s at payload byte %d: bad length, or longer than the payload of %d bytes",
			h.Type, section, len(payload)-len(rest), len(payload))
	}
	if flags.Has(FlagRoute) {
		if len(rest) < RouteSize {
			return nil, fail("ROUTE")
		}
		s.Route, rest = binary.LittleEndian.Uint64(rest), rest[RouteSize:]
	}
	blocks := [...]struct {
		flag Flags
		name string
		to   *[]byte
	}{
		{FlagName, "NAME", &s.Name},
		{FlagHeaders, "HEADERS", &s.Headers},
		{FlagTrailers, "TRAILERS", &s.Trailers},
		{FlagDetail, "DETAIL", &s.Detail},
	}
	for i := range blocks {
		b := &blocks[i]
		if !flags.Has(b.flag) {
			continue
		}
		block, behind, ok := cut(rest)
		if !ok {
			return nil, fail(b.name)
		}
		*b.to, rest = block, behind
	}
	if flags.Has(FlagTotal) {
		if len(rest) < totalSize {
			return nil, fail("TOTAL")
		}
		s.Total, rest = binary.LittleEndian.Uint32(rest), rest[totalSize:]
	}
	if flags.Has(FlagName) {
		if err := checkName(s.Name); err != nil {
			return nil, err
		}
	}
	if len(s.Detail) > MaxDetail {
		return nil, errorf(ProtocolError, "%v: DETAIL of %d bytes, the limit is %d", h.Type, len(s.Detail), MaxDetail)
	}
	return rest, nil
}

func checkName[T []byte | string](name T) error {
	if len(name) == 0 || len(name) > MaxName {
		return errorf(ProtocolError, "OPEN: NAME of %d bytes, must be 1 to %d", len(name), MaxName)
	}
	if name[0] == '/' {
		return errorf(ProtocolError, "OPEN: NAME begins with a slash")
	}
	for i := range len(name) {
		if c := name[i]; c < 0x21 || c > 0x7e {
			return errorf(ProtocolError, "OPEN: NAME byte %d is 0x%02x, must be 0x21 to 0x7e", i, c)
		}
	}
	return nil
}

// ValidName reports whether name can be sent as NAME: 1 to MaxName printable
// ASCII bytes without space.
func ValidName(name string) bool { return checkName(name) == nil }

// AppendRoute appends a ROUTE section.
func AppendRoute(b []byte, hash uint64) []byte { return binary.LittleEndian.AppendUint64(b, hash) }

// AppendName appends a NAME section. name must be valid.
func AppendName(b []byte, name string) []byte {
	return append(appendUvarint(b, len(name)), name...)
}

// AppendTotal appends a TOTAL section: the bytes of the whole message.
func AppendTotal(b []byte, n uint32) []byte { return binary.LittleEndian.AppendUint32(b, n) }
