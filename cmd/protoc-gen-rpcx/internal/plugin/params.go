package plugin

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rpcx-go/rpcx/cmd/protoc-gen-rpcx/internal/model"
)

// parameters are the settings of a run, as far as we need them ourselves;
// protogen reads its own from the request again.
type parameters struct {
	options model.Options
	// goPackages holds what the M parameters say, by file.
	goPackages map[string]string
	module     string
	relative   bool // paths=source_relative
}

// parameter describes a parameter that buf.gen.yaml or --rpcx_opt may set.
type parameter struct {
	// name is the whole name, or what it begins with if file is set.
	name string
	// file says that the path of a proto file follows name.
	file bool
	// value describes the value in the help.
	value, help string
	// set stores value, or says what is wrong with it; path is the proto file.
	set func(p *parameters, path, value string) error
}

// known lists the parameters in the order of the help. The file parameters
// come last, so that no name is taken for one.
var known = []parameter{
	{name: "package_suffix", value: "NAME", set: setPackageSuffix,
		help: "put stubs into a package of their own, named like that of the\nmessages plus NAME (default rpcx); empty: into the messages' package"},
	{name: "fakes", value: "BOOL", set: setFakes,
		help: "also generate a fake of each service, for tests (default false)"},
	{name: "glue", value: "true|services|false", set: setGlue,
		help: "write serialization code for all messages (default), for those\nthat services use, or for none"},
	{name: "paths", value: "import|source_relative", set: setPaths,
		help: "place files by Go import path (default) or beside their protos"},
	{name: "module", value: "PREFIX", set: setModule,
		help: "leave PREFIX out of the paths of generated files"},
	{name: "default_api_level", value: "LEVEL", set: checkAPILevel,
		help: "as for protoc-gen-go: API_OPEN, API_HYBRID or API_OPAQUE"},
	{name: "annotate_code", value: "BOOL", set: checkBool,
		help: "as for protoc-gen-go: also write .meta files"},
	{name: "apilevelM", file: true, value: "LEVEL", set: checkAPILevel,
		help: "the API level of one file"},
	{name: "M", file: true, value: "IMPORT_PATH[;NAME]", set: setGoPackage,
		help: "the Go package of one file, in place of its go_package"},
}

// parseParameters reads the comma-separated list that protoc and buf pass on.
func parseParameters(list string) (*parameters, error) {
	p := &parameters{
		options:    model.Options{PackageSuffix: "rpcx"},
		goPackages: make(map[string]string),
	}
	for entry := range strings.SplitSeq(list, ",") {
		if entry == "" {
			continue
		}
		key, value, _ := strings.Cut(entry, "=")
		i := slices.IndexFunc(known, func(k parameter) bool {
			return k.name == key || k.file && strings.HasPrefix(key, k.name)
		})
		if i < 0 {
			return nil, fmt.Errorf("%s: parameter %q: there is no such parameter; the parameters are %s", name, key, knownNames())
		}
		if err := known[i].set(p, strings.TrimPrefix(key, known[i].name), value); err != nil {
			return nil, fmt.Errorf("%s: parameter %q: %w", name, key, err)
		}
	}
	if p.module != "" && p.relative {
		return nil, fmt.Errorf("%s: parameter %q: it shortens import paths, which paths=source_relative does not use: remove one of the two", name, "module")
	}
	return p, nil
}

func knownNames() string {
	var names []string
	for _, k := range known {
		names = append(names, k.title())
	}
	return strings.Join(names, ", ")
}

// title returns the parameter's name, as users are told it.
func (k parameter) title() string {
	if k.file {
		return k.name + "FILE"
	}
	return k.name
}

func setPackageSuffix(p *parameters, _, value string) error {
	for _, r := range value {
		if r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') {
			return fmt.Errorf("%q cannot end the name of a Go package: use letters, digits and underscores, or nothing", value)
		}
	}
	if strings.HasSuffix(value, "_test") {
		return fmt.Errorf("%q would name a package of tests: use another ending", value)
	}
	p.options.PackageSuffix = value
	return nil
}

func setFakes(p *parameters, path, value string) error {
	p.options.Fakes = value != "false"
	return checkBool(p, path, value)
}

func setGlue(p *parameters, _, value string) error {
	switch value {
	case "true", "":
		p.options.Glue = model.GlueAll
	case "services":
		p.options.Glue = model.GlueServices
	case "false":
		p.options.Glue = model.GlueNone
	default:
		return fmt.Errorf("%q is not one of true, services and false", value)
	}
	return nil
}

func setPaths(p *parameters, _, value string) error {
	if value != "import" && value != "source_relative" {
		return fmt.Errorf("%q is not one of import and source_relative", value)
	}
	p.relative = value == "source_relative"
	return nil
}

func setModule(p *parameters, _, value string) error {
	p.module = value
	return nil
}

func setGoPackage(p *parameters, path, value string) error {
	if path == "" || value == "" {
		return fmt.Errorf("a file and a Go import path belong to it: Musers/v1/users.proto=example.com/users/v1")
	}
	p.goPackages[path] = value
	return nil
}

func checkBool(_ *parameters, _, value string) error {
	switch value {
	case "true", "false", "":
		return nil
	}
	return fmt.Errorf("%q is not one of true and false", value)
}

func checkAPILevel(_ *parameters, _, value string) error {
	switch value {
	case "API_OPEN", "API_HYBRID", "API_OPAQUE":
		return nil
	}
	return fmt.Errorf("%q is not one of API_OPEN, API_HYBRID and API_OPAQUE", value)
}
