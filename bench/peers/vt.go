package peers

// vtMessage is what vtprotobuf generates for the messages, for peers whose codec
// can be replaced.
type vtMessage interface {
	SizeVT() int
	MarshalToSizedBufferVT([]byte) (int, error)
	UnmarshalVT([]byte) error
}
