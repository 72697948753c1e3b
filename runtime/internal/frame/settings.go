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

// setting describes one entry: its range and where its value is kept.
type setting struct {
	id            uint16
	name          string
	min, max, def uint32
	value         func(*Settings) *uint32
}

// settings is in the order of the ids, which start at 1.
var settings = [...]setting{
	{1, "REVISION", 0, math.MaxUint16, 0, func(s *Settings) *uint32 { return &s.Revision }},
	{2, "MAX_FRAME", 64 << 10, MaxPayload, 64 << 10, func(s *Settings) *uint32 { return &s.MaxFrame }},
	{3, "MAX_MESSAGE", 64 << 10, 1 << 30, 4 << 20, func(s *Settings) *uint32 { return &s.MaxMessage }},
	{4, "MAX_STREAMS", 16, 1 << 20, 4096, func(s *Settings) *uint32 { return &s.MaxStreams }},
	{5, "STREAM_CREDIT", 64 << 10, 16 << 20, 256 << 10, func(s *Settings) *uint32 { return &s.StreamCredit }},
	{6, "CONN_CREDIT", 64 << 10, 64 << 20, 1 << 20, func(s *Settings) *uint32 { return &s.ConnCredit }},
	{7, "MAX_METADATA", 8 << 10, 16 << 10, 8 << 10, func(s *Settings) *uint32 { return &s.MaxMetadata }},
	{8, "MAX_METHODS", 64, math.MaxUint16, 4096, func(s *Settings) *uint32 { return &s.MaxMethods }},
	{9, "CODECS", 1, math.MaxUint32, 1, func(s *Settings) *uint32 { return &s.Codecs }},
	{10, "COMPRESSIONS", 1, math.MaxUint32, 1, func(s *Settings) *uint32 { return &s.Compressions }},
	{11, "CHECKSUM", 0, 1, 0, func(s *Settings) *uint32 { return &s.Checksum }},
}

// DefaultSettings returns what a side that sends an empty SETTINGS frame
// accepts.
func DefaultSettings() Settings {
	var s Settings
	for i := range settings {
		*settings[i].value(&s) = settings[i].def
	}
	return s
}

// MinimumSettings returns what every peer accepts: a client goes by it until
// the server's SETTINGS arrive.
func MinimumSettings() Settings {
	var s Settings
	for i := range settings {
		*settings[i].value(&s) = settings[i].min
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
		if err := settings[i].check(*settings[i].value(s)); err != nil {
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
		if v := *d.value(&s); v != d.def {
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
		*d.value(&s) = v
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
		if v := *d.value(s); v != d.def {
			out += fmt.Sprintf(" %s=%d", d.name, v)
		}
	}
	if out == "" {
		return "defaults"
	}
	return out[1:]
}
