package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	_ "embed"
)

// matrix is a proto with every kind of field in every way that a field can be.
type matrix struct {
	Folder string
	Syntax string // the proto's first line
	Level  string // the API level, if it is not the default
}

var matrices = []matrix{
	{"proto2", `syntax = "proto2";`, ""},
	{"proto2opaque", `syntax = "proto2";`, "API_OPAQUE"},
	{"proto3", `syntax = "proto3";`, ""},
	{"proto3opaque", `syntax = "proto3";`, "API_OPAQUE"},
	{"edition2023", `edition = "2023";`, ""},
	{"edition2023hybrid", `edition = "2023";`, "API_HYBRID"},
	{"edition2023opaque", `edition = "2023";`, "API_OPAQUE"},
	{"edition2024", `edition = "2024";`, ""}, // which is opaque
	{"edition2024open", `edition = "2024";`, "API_OPEN"},
}

//go:embed matrix.tmpl
var matrixText string

var matrixTemplate = template.Must(template.New("").Parse(matrixText))

// write writes the proto and the parameters of its folder.
func (m matrix) write() error {
	var out bytes.Buffer
	if err := matrixTemplate.Execute(&out, m); err != nil {
		return err
	}
	folder := filepath.Join(dir, m.Folder)
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, m.Folder+".proto"), out.Bytes(), 0o666); err != nil {
		return err
	}
	if m.Level == "" || m.Feature() {
		return nil
	}
	return os.WriteFile(filepath.Join(folder, "params.txt"), []byte("default_api_level="+m.Level+"\n"), 0o666)
}

// The methods below are what the template asks.

func (m matrix) Proto2() bool   { return strings.Contains(m.Syntax, "proto2") }
func (m matrix) Proto3() bool   { return strings.Contains(m.Syntax, "proto3") }
func (m matrix) Editions() bool { return strings.Contains(m.Syntax, "edition") }

// Feature reports whether the API level is an option in the proto: from
// edition 2024 on, a parameter does not change it.
func (m matrix) Feature() bool { return m.Level != "" && strings.Contains(m.Syntax, "2024") }

// Optional and Required begin fields with explicit presence and required ones.
func (m matrix) Optional() string {
	if m.Editions() {
		return ""
	}
	return "optional "
}

func (m matrix) Required() string {
	if m.Editions() {
		return ""
	}
	return "required "
}

// Options returns the options of a field, the features being for editions only.
func (m matrix) Options(features string, options ...string) string {
	if m.Editions() && features != "" {
		options = append(options, "features."+features)
	}
	if len(options) == 0 {
		return ""
	}
	return " [" + strings.Join(options, ", ") + "]"
}

// field is a field of one kind.
type field struct {
	Type, Name string
	Number     int
	Default    string
	Key        bool // maps may have such keys
}

// Scalars returns a field of each kind that is no message.
func (m matrix) Scalars() []field {
	fields := []field{
		{Type: "int32", Default: "-7", Key: true},
		{Type: "int64", Default: "9223372036854775807", Key: true},
		{Type: "uint32", Default: "4294967295", Key: true},
		{Type: "uint64", Default: "18446744073709551615", Key: true},
		{Type: "sint32", Default: "-2147483648", Key: true},
		{Type: "sint64", Default: "-9223372036854775808", Key: true},
		{Type: "fixed32", Default: "1", Key: true},
		{Type: "fixed64", Default: "2", Key: true},
		{Type: "sfixed32", Default: "-1", Key: true},
		{Type: "sfixed64", Default: "-2", Key: true},
		{Type: "float", Default: "nan"},
		{Type: "double", Default: "-inf"},
		{Type: "bool", Default: "true", Key: true},
		{Type: "string", Default: `"default \"text\""`, Key: true},
		{Type: "bytes", Default: `"\x00\xff"`},
	}
	if !m.Proto3() {
		fields = append(fields, field{Type: "Closed", Default: "CLOSED_TWO"})
	}
	if !m.Proto2() {
		fields = append(fields, field{Type: "Open", Default: "OPEN_ONE"})
	}
	for i := range fields {
		fields[i].Name = strings.ToLower(fields[i].Type)
		fields[i].Number = i + 1
	}
	return fields
}

// Keys returns the scalars that maps may have as keys.
func (m matrix) Keys() []field {
	var keys []field
	for _, f := range m.Scalars() {
		if f.Key {
			keys = append(keys, f)
		}
	}
	return keys
}

// Values returns the scalars that can be implicit and that maps may have as
// values: enums have to begin with zero for it.
func (m matrix) Values() []field {
	var values []field
	for _, f := range m.Scalars() {
		if f.Type != "Closed" {
			values = append(values, f)
		}
	}
	return values
}

// Numbers returns the numbers around which a tag takes another byte.
func (m matrix) Numbers() []int {
	return []int{1, 15, 16, 2047, 2048, 262143, 262144, 33554431, 33554432, 536870911}
}
