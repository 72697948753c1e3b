package testee

import (
	"google.golang.org/protobuf/reflect/protoreflect"
)

// request is a ConformanceRequest.
type request struct {
	payload      protoreflect.Name // the field that holds data
	data         []byte
	output       protoreflect.Name // of a WireFormat
	messageType  protoreflect.FullName
	category     protoreflect.Name // of a TestCategory
	printUnknown bool
}

func newRequest(m protoreflect.Message) request {
	fields := m.Descriptor().Fields()
	get := func(name protoreflect.Name) protoreflect.Value { return m.Get(fields.ByName(name)) }
	enum := func(name protoreflect.Name) protoreflect.Name {
		fd := fields.ByName(name)
		if v := fd.Enum().Values().ByNumber(m.Get(fd).Enum()); v != nil {
			return v.Name()
		}
		return ""
	}
	r := request{
		output:       enum("requested_output_format"),
		messageType:  protoreflect.FullName(get("message_type").String()),
		category:     enum("test_category"),
		printUnknown: get("print_unknown_fields").Bool(),
	}
	if fd := m.WhichOneof(m.Descriptor().Oneofs().ByName("payload")); fd != nil {
		r.payload = fd.Name()
		if fd.Kind() == protoreflect.BytesKind {
			r.data = m.Get(fd).Bytes()
		} else {
			r.data = []byte(m.Get(fd).String())
		}
	}
	return r
}

// answer is what a ConformanceResponse holds: one field of its oneof.
type answer struct {
	field protoreflect.Name
	value protoreflect.Value
}

// failed answers with an error, in the field that says at which step it was.
func failed(field protoreflect.Name, err error) answer {
	return answer{field, protoreflect.ValueOfString(err.Error())}
}

func (a answer) write(m protoreflect.Message) {
	m.Set(m.Descriptor().Fields().ByName(a.field), a.value)
}
