package main

import (
	"encoding/json"
	"runtime"
	"runtime/debug"
)

// version is set by release builds with -ldflags "-X main.version=...".
var version = "0.1.0-dev"

// commitOf is the commit that this binary was built from; empty where that is not known.
func commitOf() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value[:min(12, len(s.Value))]
		}
	}
	return ""
}

func runVersion(in *invocation) int {
	var asJSON bool
	in.flags.BoolVar(&asJSON, "json", false, "print one JSON object instead of text")
	if code, ok := in.parse("", "Prints the version of reconcile, its commit where known, and of Go."); !ok {
		return code
	}
	commit := commitOf()
	if asJSON {
		out, err := json.Marshal(map[string]string{"format_version": "1.0", "version": version, "commit": commit, "go": runtime.Version()})
		if err != nil {
			return in.fail(err)
		}
		in.print("%s\n", out)
		return exitOK
	}
	in.print("reconcile %s", version)
	if commit != "" {
		in.print(" (%s)", commit)
	}
	in.print(" %s %s/%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return exitOK
}
