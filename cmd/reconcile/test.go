package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/config"
	"nomad-reconcile/reconcile/policytest"
	"nomad-reconcile/state/source"
)

func runTest(in *invocation) int {
	var configFile, only, format string
	declareConfig(in.flags, &configFile)
	in.flags.StringVar(&only, "run", "", "run the tests whose names the `REGEXP` is found in")
	in.flags.StringVar(&format, "format", "text", "how results are printed: `text|json|junit`")
	code, ok := in.parse("[FILE|FOLDER...]", `
		Runs the unit tests of policies: *.policytest.hcl files, those named, or all in the
		folders named. Without arguments, those beside the configuration's policies, or
		below the working directory. Exits with 1 if a test fails.`)
	if !ok {
		return code
	}
	if !slices.Contains([]string{"text", "json", "junit"}, format) {
		return in.misuse("-format is text, json or junit, not %q.", format)
	}
	var options policytest.Options
	if options.Now = in.now(); only != "" {
		re, err := regexp.Compile(only)
		if err != nil {
			return in.misuse("-run %s: %s.", only, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
		options.Only = re
	}
	places, err := in.testPlaces(configFile)
	if err != nil {
		return in.refuse(err)
	}
	found, err := findTests(places)
	if err != nil {
		return in.fail(err)
	}
	return in.runTests(found, options, format)
}

// runTests runs file by file; one that does not load is a mistake, and the others
// are run all the same.
func (in *invocation) runTests(found testFiles, o policytest.Options, format string) int {
	tests := report.Tests{Partial: o.Only != nil, Broken: map[string]hcl.Diagnostics{}}
	codes := []int{exitOK}
	for _, name := range found.tests {
		r, diags := policytest.Run(diskFS{}, name, o)
		if codes = append(codes, in.mistakes(diags, r.Sources)); diags.HasErrors() {
			tests.Broken[name] = diags
		}
		if tests.Results = append(tests.Results, r); r.Failed() > 0 {
			codes = append(codes, exitError)
		}
		found.tested(r.Policies)
	}
	if o.Only != nil && !slices.ContainsFunc(tests.Results, func(r policytest.Result) bool { return len(r.Tests) > 0 }) {
		codes = append(codes, in.fail(fmt.Errorf("-run %s is found in the name of no test", o.Only)))
	}
	tests.Untested = found.policies
	var err error
	switch format {
	case "json":
		err = report.TestsJSON(in.stdout, tests)
	case "junit":
		err = report.TestsJUnit(in.stdout, tests)
	default:
		report.TestsText(in.stdout, tests, in.out)
	}
	if err != nil {
		return in.fail(err)
	}
	return worst(codes...)
}

// testPlaces are where tests are looked for.
func (in *invocation) testPlaces(configFile string) ([]config.Path, error) {
	var places []config.Path
	for _, arg := range in.args {
		places = append(places, config.Path{Shown: arg, Abs: arg})
	}
	if len(places) > 0 {
		return places, nil
	}
	src, err := os.ReadFile(configFile)
	if errors.Is(err, fs.ErrNotExist) && configFile == defaultConfig {
		return []config.Path{{Shown: ".", Abs: "."}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	cfg, diags := config.Load(configFile, src)
	if in.mistakes(diags, map[string]*hcl.File{configFile: {Bytes: src}}) != exitOK {
		return nil, errShown
	}
	return cfg.Policies, nil
}

// testFiles are those that were found, and the policies beside them that no test
// has used so far.
type testFiles struct{ tests, policies []string }

func (f *testFiles) tested(names []string) {
	f.policies = slices.DeleteFunc(f.policies, func(name string) bool { return slices.Contains(names, name) })
}

// findTests looks into folders; of a policy file, the tests are the file beside it.
func findTests(places []config.Path) (testFiles, error) {
	var found testFiles
	for _, p := range places {
		info, err := os.Stat(p.Abs)
		switch {
		case err != nil:
			return found, fmt.Errorf("looking for tests in %s: %w", p.Shown, unwrapPath(err))
		case info.IsDir():
			err = found.below(p)
		default:
			err = found.file(p.Shown)
		}
		if err != nil {
			return found, err
		}
	}
	if len(found.tests) == 0 {
		return found, fmt.Errorf("there is no *%s in %s; policies/README.md shows how tests of policies are written", policytest.Suffix, shown(places))
	}
	slices.Sort(found.tests)
	found.tests = slices.Compact(found.tests)
	return found, nil
}

func (f *testFiles) below(p config.Path) error {
	dir := source.Directory{Name: "policies", Path: p.Abs, Shown: p.Shown, Include: []string{"**/*" + policytest.Suffix, "**/*.policy.hcl"}}
	names, err := dir.List()
	if err != nil {
		return err
	}
	for _, name := range names {
		rel, err := filepath.Rel(p.Abs, name)
		if err != nil {
			return err
		}
		f.add(filepath.Join(p.Shown, rel))
	}
	return nil
}

func (f *testFiles) add(name string) {
	if strings.HasSuffix(name, policytest.Suffix) {
		f.tests = append(f.tests, name)
	} else {
		f.policies = append(f.policies, name)
	}
}

func (f *testFiles) file(name string) error {
	if strings.HasSuffix(name, policytest.Suffix) {
		f.add(name)
		return nil
	}
	beside, isPolicy := strings.CutSuffix(name, ".policy.hcl")
	if !isPolicy {
		return fmt.Errorf("%s is no test of a policy: its name does not end in %s", name, policytest.Suffix)
	}
	f.add(name)
	if _, err := os.Stat(beside + policytest.Suffix); err == nil {
		f.add(beside + policytest.Suffix)
	}
	return nil
}

func shown(places []config.Path) string {
	names := make([]string, len(places))
	for i, p := range places {
		names[i] = p.Shown
	}
	return strings.Join(names, ", ")
}

// diskFS is the file system under the names that users see: relative to the working
// directory, also above it, or absolute.
type diskFS struct{}

func (diskFS) Open(name string) (fs.File, error)    { return os.Open(filepath.FromSlash(name)) }
func (diskFS) ReadFile(name string) ([]byte, error) { return os.ReadFile(filepath.FromSlash(name)) }
