package model

import (
	"testing"

	"google.golang.org/protobuf/types/descriptorpb"
)

func TestUnexport(t *testing.T) {
	for name, want := range map[string]string{
		"Users":     "users",
		"HTTPCache": "httpCache",
		"HTTP":      "http",
		"A":         "a",
		"AService":  "aService",
		"X_1":       "x_1",
		"V1Users":   "v1Users",
		"":          "",
	} {
		if got := unexport(name); got != want {
			t.Errorf("unexport(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestScope(t *testing.T) {
	s := newScope(map[string]bool{"usersv1": true})
	s.reserve("Users")
	for _, step := range []struct{ name, want string }{
		{"Orders", "Orders"},
		{"Orders", "Orders_"},
		{"Orders", "Orders__"},
		{"Users", "Users_"},
		{"usersv1", "usersv1_"},
	} {
		if got := s.claim(step.name); got != step.want {
			t.Errorf("claim(%q) = %q, want %q", step.name, got, step.want)
		}
	}
	if s.claimAll("New", "Users") {
		t.Error("claimAll took a name that is taken")
	}
	if s.claimAll("Twice", "Twice") {
		t.Error("claimAll took a name twice")
	}
	if !s.claimAll("New", "Old") {
		t.Error("claimAll refused names that are free: did an attempt that failed take some?")
	}
}

func TestDoc(t *testing.T) {
	for _, test := range []struct {
		name       string
		paragraphs []string
		want       string
	}{
		{"nothing", []string{"", " \n"}, ""},
		{"lines", []string{" One.\n Two.\n"}, "// One.\n// Two."},
		{"paragraphs", []string{"One.", "", " Two.\n\n Three.\n"}, "// One.\n//\n// Two.\n//\n// Three."},
		{"directive", []string{"go:generate rm\nline a.go:1\n"}, "// go:generate rm\n// line a.go:1"},
		{"indented", []string{"\tcode\n"}, "//\tcode"},
		{"spaces at the end", []string{" a \t\r\n b\r\n"}, "// a\n// b"},
		{"javadoc", []string{"*\n Text.\n"}, "// Text."},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := doc(test.paragraphs...); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestDeprecation(t *testing.T) {
	for comment, want := range map[string]string{
		"":                                  "Deprecated: Reason.",
		" Text about Deprecated: things.\n": "Deprecated: Reason.",
		" Text.\n\n Deprecated: use b.\n":   "",
	} {
		if got := deprecation(comment, "Reason."); got != want {
			t.Errorf("deprecation(%q) = %q, want %q", comment, got, want)
		}
	}
}

func TestErrorAt(t *testing.T) {
	name := "a.proto"
	file := &descriptorpb.FileDescriptorProto{Name: &name, SourceCodeInfo: &descriptorpb.SourceCodeInfo{
		Location: []*descriptorpb.SourceCodeInfo_Location{
			{Path: nil, Span: []int32{0, 0, 99, 1}},
			{Path: []int32{6, 0}, Span: []int32{4, 0, 9, 1}},
			{Path: []int32{6, 0, 2, 1}, Span: []int32{6, 2, 40}},
			{Path: []int32{6, 1}, Span: []int32{10, 0, 12, 1}},
		},
	}}
	for _, test := range []struct {
		path []int32
		want string
	}{
		{[]int32{6, 0, 2, 1}, "a.proto:7:3: broken"},
		{[]int32{6, 0, 2, 1, 4, 33}, "a.proto:7:3: broken"},
		{[]int32{6, 0, 2, 0}, "a.proto:5:1: broken"},
		{[]int32{6, 1}, "a.proto:11:1: broken"},
		{[]int32{8, 11}, "a.proto:1:1: broken"},
	} {
		if got := ErrorAt(file, test.path, "broken").Error(); got != test.want {
			t.Errorf("path %v: got %q, want %q", test.path, got, test.want)
		}
	}
}
