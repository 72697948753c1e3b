package main

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/rpcx-go/rpcx/bench/codec/opaque/gen/opaque"
)

// allShapes returns every shape, those that the geometric means are of first.
// Their contents do not depend on each other.
func allShapes() []*shape {
	nested := newFiller().nested()
	order := newShape("order", newFiller().order())
	order.extra = true
	// The checking of UTF-8, which vtprotobuf leaves out, costs more here than in strings.
	unicode := newShape("unicode", newFiller().strings(false))
	unicode.extra = true
	// The opaque message has the same fields, hence the same bytes.
	hidden := new(opaque.Nested)
	data, err := proto.Marshal(nested)
	if err == nil {
		err = proto.Unmarshal(data, hidden)
	}
	if err != nil {
		panic(err) // the contents are ours
	}
	nestedOpaque := newShapeWithoutVT("opaque", hidden)
	nestedOpaque.extra = true
	return []*shape{
		newShape("small", newFiller().small()),
		newShape("nested", nested),
		newShape("strings", newFiller().strings(true)),
		newShape("packed", newFiller().packed()),
		newShape("tree", newFiller().tree()),
		newShape("many", newFiller().many()),
		order,
		unicode,
		nestedOpaque,
	}
}

// chooseShapes returns the shapes with the given names, which commas separate,
// or all of them for an empty list.
func chooseShapes(names string) ([]*shape, error) {
	all := allShapes()
	if names == "" {
		return all, nil
	}
	var chosen []*shape
	for _, name := range strings.Split(names, ",") {
		found := false
		for _, s := range all {
			if s.name == name {
				chosen, found = append(chosen, s), true
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no shape %q", name)
		}
	}
	return chosen, nil
}
