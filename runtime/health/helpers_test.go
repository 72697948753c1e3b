package health

import "google.golang.org/protobuf/reflect/protoreflect"

func key(s string) protoreflect.MapKey { return protoreflect.ValueOfString(s).MapKey() }
