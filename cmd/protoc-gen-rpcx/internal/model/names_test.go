package model

import (
	"go/build"
	"os"
	"path/filepath"
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

// TestFileName asks the go command whether it would take a file for any platform.
func TestFileName(t *testing.T) {
	for _, test := range []struct{ base, stub, glue string }{
		{"users", "users.rpcx.go", "users_rpcx.pb.go"},
		{"users_arm", "users_arm_.rpcx.go", "users_arm_rpcx.pb.go"},
		{"users_linux", "users_linux_.rpcx.go", "users_linux_rpcx.pb.go"},
		{"users_windows_arm64", "users_windows_arm64_.rpcx.go", "users_windows_arm64_rpcx.pb.go"},
		{"users_arm_test", "users_arm_test_.rpcx.go", "users_arm_test_rpcx.pb.go"},
		{"users_plan9.v1", "users_plan9_.v1.rpcx.go", "users_plan9_.v1_rpcx.pb.go"},
		{"users_test", "users_test.rpcx.go", "users_test_rpcx.pb.go"},
		{"users_v1", "users_v1.rpcx.go", "users_v1_rpcx.pb.go"},
		{"linux", "linux.rpcx.go", "linux_rpcx.pb.go"},
	} {
		for suffix, want := range map[string]string{".rpcx.go": test.stub, "_rpcx.pb.go": test.glue} {
			got := fileName(test.base, suffix)
			if got != want {
				t.Errorf("fileName(%q, %q) = %q, want %q", test.base, suffix, got, want)
			}
			checkPlatforms(t, got)
		}
	}
}

// checkPlatforms fails if the go command compiles a file for some platforms only.
func checkPlatforms(t *testing.T, file string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, file), []byte("package p\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, platform := range [][2]string{{"linux", "amd64"}, {"darwin", "arm"}} {
		ctx := build.Default
		ctx.GOOS, ctx.GOARCH = platform[0], platform[1]
		match, err := ctx.MatchFile(dir, file)
		if err != nil || !match {
			t.Errorf("%s is not compiled for %v: %v", file, platform, err)
		}
	}
}
