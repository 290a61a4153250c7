package main_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// page is what two translations of one text must have in common.
type page struct {
	Headings []int    // their levels
	Blocks   []string // fenced code, as it stands
	Links    []string // to files of the project, without the other translation
	Rows     []int    // of each table
	Items    []int    // of each list
}

var (
	heading  = regexp.MustCompile(`^(#+) `)
	listItem = regexp.MustCompile(`^(- |\d+\. )`)
	link     = regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`)
)

// pageOf reads Markdown, as far as our READMEs use it.
func pageOf(text string) page {
	var p page
	var block []string
	fenced, previous := false, ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "```"):
			if fenced {
				p.Blocks, block = append(p.Blocks, strings.Join(block, "\n")), nil
			} else {
				block = []string{line}
			}
			fenced = !fenced
		case fenced:
			block = append(block, line)
		default:
			p.prose(line, previous)
		}
		previous = line
	}
	return p
}

func (p *page) prose(line, previous string) {
	if m := heading.FindStringSubmatch(line); m != nil {
		p.Headings = append(p.Headings, len(m[1]))
	}
	isRow := func(s string) bool { return strings.HasPrefix(s, "|") }
	count(&p.Rows, isRow(line), isRow(previous))
	count(&p.Items, listItem.MatchString(line), listItem.MatchString(previous))
	for _, m := range link.FindAllStringSubmatch(line, -1) {
		if !strings.HasPrefix(m[1], "http") && !strings.HasPrefix(m[1], "README") {
			p.Links = append(p.Links, m[1])
		}
	}
}

// count goes on with the last number or begins another.
func count(numbers *[]int, is, was bool) {
	switch {
	case is && was:
		(*numbers)[len(*numbers)-1]++
	case is:
		*numbers = append(*numbers, 1)
	}
}

func readPage(t *testing.T, name string) (string, page) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), pageOf(string(text))
}

// Both READMEs say the same: the same sections, commands, tables and links.
func TestREADMEsAreInStep(t *testing.T) {
	t.Parallel()
	english, want := readPage(t, "../../README.md")
	chinese, got := readPage(t, "../../README.zh-CN.md")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("README.zh-CN.md differs from README.md (-en +zh):\n%s", diff)
	}
	if !strings.Contains(english, "(README.zh-CN.md)") || !strings.Contains(chinese, "(README.md)") {
		t.Error("each README links to the other at its top")
	}
	if len(want.Headings) < 5 || len(want.Blocks) < 5 || len(want.Links) < 5 {
		t.Errorf("hardly anything was found in README.md: %+v", want)
	}
}

func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"../../README.md", "../../README.zh-CN.md", "README.md", "../../config/README.md", "../../config/deploy/README.md", "../../policies/README.md", "../../policies/library/README.md", "../../CONTRIBUTING.md"} {
		_, p := readPage(t, name)
		for _, to := range p.Links {
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), to)); err != nil {
				t.Errorf("%s links to %s: %v", name, to, err)
			}
		}
	}
}

func TestPageOf(t *testing.T) {
	t.Parallel()
	text := "# A\n\n[b](b.md) [w](https://w) [r](README.md) [h](c.md#h)\n\n```\n# no heading\n- no item\n```\n\n## B\n\n- one\n- two\n\ntext\n\n1. three\n\n| x |\n| - |\n"
	want := page{Headings: []int{1, 2}, Blocks: []string{"```\n# no heading\n- no item"}, Links: []string{"b.md", "c.md"}, Rows: []int{2}, Items: []int{2, 1}}
	if diff := cmp.Diff(want, pageOf(text)); diff != "" {
		t.Error(diff)
	}
	if slices.Equal(pageOf(text+"### C\n").Headings, want.Headings) {
		t.Error("one more heading is not noticed")
	}
}
