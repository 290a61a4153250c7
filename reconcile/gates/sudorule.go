package gates

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// sudoRule is what sudoers says about one user, command and target user.
type sudoRule struct {
	nopasswd, setenv, envReset bool
	text                       string // as it could stand in sudoers
}

// sudoersDoc is what `cvtsudoers -f json` prints, as far as it matters here. It was
// asked for one user on one host, so that the rules of others are left out.
type sudoersDoc struct {
	Defaults []struct {
		Binding []sudoMember
		Options []map[string]any
	}
	UserSpecs []struct {
		CmndSpecs []sudoSpec `json:"Cmnd_Specs"`
	} `json:"User_Specs"`
}

type sudoSpec struct {
	RunAs    []sudoMember `json:"runasusers"`
	Options  []map[string]any
	Commands []sudoMember
}

// sudoMember is a user, a host or a command.
type sudoMember struct {
	Username, Hostname, Command string
	Negated                     bool
}

// readSudoers finds the rule that decides, which is the last one that fits, and the
// defaults that are in force with it. An error: what decides cannot be found here.
func readSudoers(data []byte, user, runas string, command []string) (sudoRule, error) {
	var doc sudoersDoc
	if err := json.Unmarshal(data, &doc); err != nil {
		return sudoRule{}, fmt.Errorf("cvtsudoers prints what cannot be read: %w", err)
	}
	defaults := doc.defaults(user, runas, command)
	for _, u := range backwards(doc.UserSpecs) {
		for _, spec := range backwards(u.CmndSpecs) {
			if !spec.targets(runas) {
				continue
			}
			for _, c := range backwards(spec.Commands) {
				if fits(c.Command, command) {
					r := spec.with(defaults, user)
					r.text = spec.text(user, c)
					return r, forbidden(c)
				}
			}
		}
	}
	return sudoRule{}, errors.New("sudo allows it, but no rule of sudoers says so: it may come from LDAP or SSSD")
}

func forbidden(c sudoMember) error {
	if !c.Negated {
		return nil
	}
	return fmt.Errorf("sudo allows it, though the last rule that fits forbids %s", c.Command)
}

func backwards[T any](list []T) []T {
	out := make([]T, len(list))
	for i, v := range list {
		out[len(list)-1-i] = v
	}
	return out
}

// defaults are the options in force, by name: those of a target user win over
// general ones, those of the command over both.
func (d *sudoersDoc) defaults(user, runas string, command []string) map[string]bool {
	out := map[string]bool{"authenticate": true, "env_reset": true}
	for _, applies := range []func(sudoMember) bool{
		func(m sudoMember) bool { return m.Command == "" && (m.Hostname != "" || isUser(m, user)) },
		func(m sudoMember) bool {
			return m.Command == "" && m.Hostname == "" && isUser(m, runas) && !isUser(m, user)
		},
		func(m sudoMember) bool { return fits(m.Command, command) },
	} {
		for _, one := range d.Defaults {
			if len(one.Binding) == 0 && !applies(sudoMember{Hostname: "ALL"}) || len(one.Binding) > 0 && !bound(one.Binding, applies) {
				continue
			}
			for name, v := range options(one.Options) {
				out[name] = v
			}
		}
	}
	return out
}

// bound: the last member that applies decides.
func bound(members []sudoMember, applies func(sudoMember) bool) bool {
	for _, m := range backwards(members) {
		if applies(m) {
			return !m.Negated
		}
	}
	return false
}

func isUser(m sudoMember, name string) bool { return m.Username == name || m.Username == "ALL" }

func options(list []map[string]any) map[string]bool {
	out := map[string]bool{}
	for _, one := range list {
		for name, v := range one {
			if b, ok := v.(bool); ok {
				out[name] = b
			}
		}
	}
	return out
}

// targets: without a list of target users a rule is for root.
func (s sudoSpec) targets(runas string) bool {
	if len(s.RunAs) == 0 {
		return runas == "root"
	}
	return bound(s.RunAs, func(m sudoMember) bool { return isUser(m, runas) })
}

// with is the rule with the defaults for what it leaves open.
func (s sudoSpec) with(defaults map[string]bool, user string) sudoRule {
	own := options(s.Options)
	get := func(name string) bool {
		if v, ok := own[name]; ok {
			return v
		}
		return defaults[name]
	}
	return sudoRule{nopasswd: !get("authenticate") || user == "root", setenv: get("setenv"), envReset: defaults["env_reset"]}
}

// text is the rule for one user and command. What list it stands in, and which
// aliases stand for it, cvtsudoers does not tell.
func (s sudoSpec) text(user string, c sudoMember) string {
	var runas []string
	for _, m := range s.RunAs {
		if name := m.Username; name != "" {
			runas = append(runas, not(m.Negated)+name)
		}
	}
	out := user + " ALL="
	if len(runas) > 0 {
		out += "(" + strings.Join(runas, ",") + ") "
	}
	own := options(s.Options)
	for _, tag := range []struct{ option, on, off string }{{"authenticate", "PASSWD: ", "NOPASSWD: "}, {"setenv", "SETENV: ", "NOSETENV: "}} {
		if v, ok := own[tag.option]; ok && v {
			out += tag.on
		} else if ok {
			out += tag.off
		}
	}
	return out + not(c.Negated) + c.Command
}

func not(negated bool) string {
	if negated {
		return "!"
	}
	return ""
}

// fits tells whether a command of sudoers is meant by the one that is asked about.
func fits(pattern string, command []string) bool {
	if pattern == "" {
		return false
	}
	args := strings.Join(command[1:], " ")
	path, want, hasArgs := strings.Cut(pattern, " ")
	switch {
	case !fitsPath(path, command[0]):
		return false
	case !hasArgs:
		return true
	case want == `""`:
		return args == ""
	}
	return fitsText(want, args, ".")
}

func fitsPath(pattern, path string) bool {
	if pattern == "ALL" || strings.HasSuffix(pattern, "/") && filepath.Dir(path) == filepath.Clean(pattern) {
		return true
	}
	if fitsText(pattern, path, "[^/]") {
		return true
	}
	if filepath.Base(pattern) != filepath.Base(path) {
		return false
	}
	a, err := os.Stat(pattern)
	b, other := os.Stat(path)
	return err == nil && other == nil && os.SameFile(a, b) // /bin may be /usr/bin
}

// fitsText: a pattern is a regular expression between ^ and $, else a glob whose
// wildcards stand for what any matches.
func fitsText(pattern, text, any string) bool {
	expr := pattern
	if !strings.HasPrefix(pattern, "^") || !strings.HasSuffix(pattern, "$") {
		expr = "(?s)^" + fromGlob(pattern, any) + "$"
	}
	re, err := regexp.Compile(expr)
	return err == nil && re.MatchString(text)
}

func fromGlob(pattern, any string) string {
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '*':
			b.WriteString(any + "*")
		case c == '?':
			b.WriteString(any)
		case c == '\\' && i+1 < len(pattern):
			i++
			b.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		case c == '[' && strings.Contains(pattern[i+1:], "]"):
			end := i + 1 + strings.Index(pattern[i+1:], "]")
			b.WriteString(strings.Replace(pattern[i:end+1], "[!", "[^", 1))
			i = end
		default:
			b.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		}
	}
	return b.String()
}
