package frame

// Preface is what each side of a native connection sends first. Its last byte
// is the layout version.
const Preface = "\xfbRPX\r\n\x1a\x01"

// PrefaceSize is the length of the preface in bytes.
const PrefaceSize = len(Preface)

// Verdict is what the first bytes of a connection say.
type Verdict uint8

// The verdicts.
const (
	NeedMore           Verdict = iota // a beginning of the preface; read on
	Native                            // the preface of this version
	NativeOtherVersion                // the preface of another version
	NotNative                         // anything else
)

// String returns the verdict for logs.
func (v Verdict) String() string {
	switch v {
	case NeedMore:
		return "need more"
	case Native:
		return "native"
	case NativeOtherVersion:
		return "native, other version"
	default:
		return "not native"
	}
}

// Sniff judges the first bytes of a connection. It decides as early as the
// bytes allow: NotNative at the first wrong byte, the version at the eighth.
// Bytes after the preface are not looked at.
func Sniff(b []byte) Verdict {
	const version = PrefaceSize - 1
	n := min(len(b), version)
	if string(b[:n]) != Preface[:n] {
		return NotNative
	}
	switch {
	case len(b) <= version:
		return NeedMore
	case b[version] == Version:
		return Native
	default:
		return NativeOtherVersion
	}
}
