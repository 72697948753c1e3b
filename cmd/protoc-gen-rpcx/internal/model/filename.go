package model

import "strings"

// platforms are the names of operating systems and processors that the go
// command knows, also those of the past and of other compilers.
var platforms = func() map[string]bool {
	names := strings.Fields(`
		aix android darwin dragonfly freebsd hurd illumos ios js linux nacl
		netbsd openbsd plan9 solaris wasip1 windows zos

		386 amd64 amd64p32 arm armbe arm64 arm64be loong64 mips mipsle mips64
		mips64le mips64p32 mips64p32le ppc ppc64 ppc64le riscv riscv64 s390
		s390x sparc sparc64 wasm
	`)
	known := make(map[string]bool, len(names))
	for _, name := range names {
		known[name] = true
	}
	return known
}()

// fileName returns the name of the Go file that is generated for the proto
// base, given without its extension. The go command compiles a file named like
// experiment_arm.rpcx.go for that platform only; an underscore prevents this.
func fileName(base, suffix string) string {
	// The go command looks at what precedes the first dot.
	stem, _, _ := strings.Cut(base+suffix, ".")
	i := strings.LastIndexByte(stem, '_')
	if i < 0 {
		return base + suffix
	}
	last := stem[i+1:]
	// experiment_arm_test is taken for the test of experiment_arm.
	if before, ok := strings.CutSuffix(stem, "_test"); ok {
		last = before[strings.LastIndexByte(before, '_')+1:]
	}
	if platforms[last] {
		base = stem + "_" + base[len(stem):]
	}
	return base + suffix
}
