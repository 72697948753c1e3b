package frame

import (
	"encoding/binary"
	"fmt"
	"math"
)

// MaxSettings is the most entries a SETTINGS frame may have.
const MaxSettings = 64

const settingSize = 8

// Settings is what one side of a connection accepts from the other.
type Settings struct {
	Revision     uint32 // highest revision of the layout that the sender speaks
	MaxFrame     uint32 // largest payload, bytes
	MaxMessage   uint32 // largest message, bytes, as sent and after decompression
	MaxStreams   uint32 // streams that the receiver may have open
	StreamCredit uint32 // initial credit of each stream, bytes
	ConnCredit   uint32 // initial credit of the connection, bytes
	MaxMetadata  uint32 // largest metadata block, bytes
	MaxMethods   uint32 // method ids that the receiver may define
	Codecs       uint32 // bit set of codec ids; bit 0 is always in
	Compressions uint32 // bit set of compression ids; bit 0 is always in
	Checksum     uint32 // 1: frames carry a CRC32C if the other side wants it too
}

// setting describes one entry and its range.
type setting struct {
	id            uint16
	name          string
	min, max, def uint32
}

// settings is in the order of the ids, which start at 1.
var settings = [...]setting{
	{1, "REVISION", 0, math.MaxUint16, 0},
	{2, "MAX_FRAME", 64 << 10, MaxPayload, 64 << 10},
	{3, "MAX_MESSAGE", 64 << 10, 1 << 30, 4 << 20},
	{4, "MAX_STREAMS", 16, 1 << 20, 4096},
	{5, "STREAM_CREDIT", 64 << 10, 16 << 20, 256 << 10},
	{6, "CONN_CREDIT", 64 << 10, 64 << 20, 1 << 20},
	{7, "MAX_METADATA", 8 << 10, 16 << 10, 8 << 10},
	{8, "MAX_METHODS", 64, math.MaxUint16, 4096},
	{9, "CODECS", 1, math.MaxUint32, 1},
	{10, "COMPRESSIONS", 1, math.MaxUint32, 1},
	{11, "CHECKSUM", 0, 1, 0},
}

// value returns where the value of settings[i] is kept.
func (s *Settings) value(i int) *uint32 {
	switch i {
	case 0:
		return &s.Revision
	case 1:
		return &s.MaxFrame
	case 2:
		return &s.MaxMessage
	case 3:
		return &s.MaxStreams
	case 4:
		return &s.StreamCredit
	case 5:
		return &s.ConnCredit
	case 6:
		return &s.MaxMetadata
	case 7:
		return &s.MaxMethods
	case 8:
		return &s.Codecs
	case 9:
		return &s.Compressions
	}
	return &s.Checksum
}

// DefaultSettings returns what a side that sends an empty SETTINGS frame
// accepts.
func DefaultSettings() Settings {
	var s Settings
	for i := range settings {
		*s.value(i) = settings[i].def
	}
	return s
}

// MinimumSettings returns what every peer accepts: a client goes by it until
// the server's SETTINGS arrive.
func MinimumSettings() Settings {
	var s Settings
	for i := range settings {
		*s.value(i) = settings[i].min
	}
	return s
}

// AcceptsCodec reports whether the sender of s decodes codec id.
func (s *Settings) AcceptsCodec(id uint8) bool { return s.Codecs>>id&1 != 0 }

// AcceptsCompression reports whether the sender of s decodes compression id.
func (s *Settings) AcceptsCompression(id uint8) bool { return s.Compressions>>id&1 != 0 }

// Validate checks every value against its range. The error is an *[Error]
// that names setting, value and range.
func (s *Settings) Validate() error {
	for i := range settings {
		if err := settings[i].check(*s.value(i)); err != nil {
			return err
		}
	}
	return nil
}

func (d *setting) check(v uint32) error {
	if v < d.min || v > d.max {
		return errorf(SettingsError, "SETTINGS: %s = %d, must be %d to %d", d.name, v, d.min, d.max)
	}
	// The sets' bit 0 stands for protobuf and for no compression.
	if d.min == 1 && v&1 == 0 {
		return errorf(SettingsError, "SETTINGS: %s = %#x, bit 0 must be set", d.name, v)
	}
	return nil
}

// AppendSettings appends a SETTINGS frame with the values that differ from
// the defaults. s must be valid.
func AppendSettings(b []byte, s Settings) []byte {
	start := len(b)
	b = append(b, make([]byte, HeaderSize)...)
	for i := range settings {
		d := &settings[i]
		if v := *s.value(i); v != d.def {
			b = binary.LittleEndian.AppendUint32(b, uint32(d.id))
			b = binary.LittleEndian.AppendUint32(b, v)
		}
	}
	h := Header{Length: uint32(len(b) - start - HeaderSize), Type: TypeSettings}
	h.Put(b[start:])
	return b
}

// ParseSettings decodes the payload of a SETTINGS frame. Settings not given
// have their default, ids not known are ignored. The error is an *[Error].
func ParseSettings(payload []byte) (Settings, error) {
	s := DefaultSettings()
	if len(payload)%settingSize != 0 || len(payload) > MaxSettings*settingSize {
		return s, errorf(FrameSizeError, "SETTINGS: payload of %d bytes, must be at most %d entries of %d",
			len(payload), MaxSettings, settingSize)
	}
	for at := 0; at < len(payload); at += settingSize {
		id := binary.LittleEndian.Uint16(payload[at:])
		if zero := binary.LittleEndian.Uint16(payload[at+2:]); zero != 0 {
			return s, errorf(SettingsError, "SETTINGS: bytes %d and %d are 0x%04x, must be 0", at+2, at+3, zero)
		}
		if given(payload[:at], id) {
			return s, errorf(SettingsError, "SETTINGS: id %d given twice", id)
		}
		if id == 0 || int(id) > len(settings) {
			continue
		}
		d := &settings[id-1]
		v := binary.LittleEndian.Uint32(payload[at+4:])
		if err := d.check(v); err != nil {
			return s, err
		}
		*s.value(int(id - 1)) = v
	}
	return s, nil
}

// given reports whether entries, of which there are few, hold id.
func given(entries []byte, id uint16) bool {
	for ; len(entries) > 0; entries = entries[settingSize:] {
		if binary.LittleEndian.Uint16(entries) == id {
			return true
		}
	}
	return false
}

// String lists the values that differ from the defaults.
func (s *Settings) String() string {
	out := ""
	for i := range settings {
		d := &settings[i]
		if v := *s.value(i); v != d.def {
			out += fmt.Sprintf(" %s=%d", d.name, v)
		}
	}
	if out == "" {
		return "defaults"
	}
	return out[1:]
}
