package reflection

import (
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/rpcx-go/rpcx/runtime/internal/grpcproto"
	"github.com/rpcx-go/rpcx/runtime/status"
)

func fileByPath(path string) (protoreflect.FileDescriptor, error) {
	if f, err := protoregistry.GlobalFiles.FindFileByPath(path); err == nil {
		return f, nil
	}
	if f, err := grpcproto.Files().FindFileByPath(path); err == nil {
		return f, nil
	}
	return nil, notFound("file", path)
}

// symbol returns the descriptor of a name: of what is linked in, or of the
// services that this program has private descriptors of.
func symbol(name string) (protoreflect.Descriptor, error) {
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	if err == nil {
		return d, nil
	}
	if d, err = grpcproto.Files().FindDescriptorByName(protoreflect.FullName(name)); err == nil {
		return d, nil
	}
	return nil, notFound("symbol", name)
}

func fileOfSymbol(name string) (protoreflect.FileDescriptor, error) {
	d, err := symbol(name)
	if err != nil {
		return nil, err
	}
	return d.ParentFile(), nil
}

func fileOfExtension(of string, number int64) (protoreflect.FileDescriptor, error) {
	if number > 0 && number <= math.MaxInt32 {
		ext, err := protoregistry.GlobalTypes.FindExtensionByNumber(protoreflect.FullName(of), protoreflect.FieldNumber(number))
		if err == nil {
			return ext.TypeDescriptor().ParentFile(), nil
		}
	}
	return nil, notFound(fmt.Sprintf("extension %d of", number), of)
}

// extensionNumbers fills res with the numbers of all extensions of a message.
func extensionNumbers(of string, res grpcproto.Message) error {
	d, err := symbol(of)
	if err != nil {
		return err
	}
	if _, ok := d.(protoreflect.MessageDescriptor); !ok {
		return notFound("message", of)
	}
	var numbers []int32
	protoregistry.GlobalTypes.RangeExtensionsByMessage(d.FullName(), func(t protoreflect.ExtensionType) bool {
		numbers = append(numbers, int32(t.TypeDescriptor().Number()))
		return true
	})
	slices.Sort(numbers)
	list := res.Sub("all_extension_numbers_response")
	list.Set("base_type_name", of)
	for _, n := range numbers {
		list.Append("extension_number", n)
	}
	return nil
}

// files returns a function that fills res with a file, and with those that it
// imports, directly and by others, as far as the call has not carried them.
func (a *answerer) files(res grpcproto.Message) func(protoreflect.FileDescriptor, error) error {
	return func(f protoreflect.FileDescriptor, err error) error {
		if err != nil {
			return err
		}
		if f.IsPlaceholder() {
			return notFound("file", f.Path())
		}
		var all [][]byte
		seen := map[string]bool{f.Path(): true}
		for queue := []protoreflect.FileDescriptor{f}; len(queue) > 0; queue = queue[1:] {
			f := queue[0]
			if len(all) == 0 || !a.sent[f.Path()] {
				b, err := proto.Marshal(protodesc.ToFileDescriptorProto(f))
				if err != nil {
					return status.New(status.Internal, err.Error())
				}
				all = append(all, b)
				a.sent[f.Path()] = true
			}
			imports := f.Imports()
			for i := range imports.Len() {
				// What is imported and not linked in cannot be sent.
				if f := imports.Get(i); !f.IsPlaceholder() && !seen[f.Path()] {
					seen[f.Path()] = true
					queue = append(queue, f.FileDescriptor)
				}
			}
		}
		out := res.Sub("file_descriptor_response")
		for _, b := range all {
			out.Append("file_descriptor_proto", b)
		}
		return nil
	}
}
