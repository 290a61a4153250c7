package nomadtest

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/nomad/api"
)

// stragglers is how long a task's output is read on after its end.
const stragglers = time.Second

// command is the process of a raw_exec task, in a process group of its own.
func (r *runner) command(t *api.Task) (*exec.Cmd, error) {
	dirs := r.dirs(t)
	for _, d := range []string{dirs["NOMAD_ALLOC_DIR"], dirs["NOMAD_TASK_DIR"], dirs["NOMAD_SECRETS_DIR"], dirs["tmp"]} {
		if err := makeOpen(d); err != nil {
			return nil, err
		}
	}
	if p := t.DispatchPayload; p != nil && p.File != "" && len(r.job.Payload) > 0 {
		if err := os.WriteFile(filepath.Join(dirs["NOMAD_TASK_DIR"], p.File), r.job.Payload, 0o644); err != nil {
			return nil, err
		}
	}
	env := r.environment(t, dirs)
	name, _ := t.Config["command"].(string)
	if name == "" {
		return nil, errors.New("missing command")
	}
	path, err := lookUp(interpolate(name, env), filepath.Dir(dirs["NOMAD_TASK_DIR"]), env["PATH"])
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, r.arguments(t, env)...)
	cmd.Dir = filepath.Dir(dirs["NOMAD_TASK_DIR"])
	for _, k := range slices.Sorted(maps.Keys(env)) {
		cmd.Env = append(cmd.Env, k+"="+env[k])
	}
	cmd.Stdout, cmd.Stderr = r.alloc.logs[t.Name+".stdout"], r.alloc.logs[t.Name+".stderr"]
	cmd.WaitDelay = stragglers
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: credential(t.User)}
	dieWithParent(cmd.SysProcAttr)
	return cmd, nil
}

// makeOpen makes a folder that a task may use as whatever user it runs.
func makeOpen(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.Chmod(dir, 0o777)
}

func (r *runner) dirs(t *api.Task) map[string]string {
	base := filepath.Join(r.server.dir, "alloc", r.alloc.ID)
	return map[string]string{
		"NOMAD_ALLOC_DIR":   filepath.Join(base, "alloc"),
		"NOMAD_TASK_DIR":    filepath.Join(base, t.Name, "local"),
		"NOMAD_SECRETS_DIR": filepath.Join(base, t.Name, "secrets"),
		"tmp":               filepath.Join(base, t.Name, "tmp"),
	}
}

// inherited is what raw_exec tasks get of this process's environment. The real one
// hands over more; what a test's environment holds is nobody's business.
var inherited = []string{"HOME", "LANG", "LOGNAME", "SHELL", "TMPDIR", "TZ", "USER"}

// environment is what the task's process gets.
func (r *runner) environment(t *api.Task, dirs map[string]string) map[string]string {
	a, j := r.alloc, r.job
	env := map[string]string{"PATH": strings.Trim(r.server.opts.PATH+":"+os.Getenv("PATH"), ":")}
	for _, k := range inherited {
		if v, ok := os.LookupEnv(k); ok {
			env[k] = v
		}
	}
	maps.Copy(env, map[string]string{
		"NOMAD_ALLOC_ID": a.ID, "NOMAD_SHORT_ALLOC_ID": a.ID[:8], "NOMAD_ALLOC_NAME": a.Name,
		"NOMAD_ALLOC_INDEX": strconv.Itoa(a.slot), "NOMAD_TASK_NAME": t.Name, "NOMAD_GROUP_NAME": *r.group.Name,
		"NOMAD_JOB_ID": *j.ID, "NOMAD_JOB_NAME": *j.Name, "NOMAD_NAMESPACE": *j.Namespace, "NOMAD_REGION": *j.Region,
		"NOMAD_DC": "dc1", "NOMAD_CPU_LIMIT": strconv.Itoa(value(t.Resources.CPU)), "NOMAD_MEMORY_LIMIT": strconv.Itoa(value(t.Resources.MemoryMB)),
		"NOMAD_ALLOC_DIR": dirs["NOMAD_ALLOC_DIR"], "NOMAD_TASK_DIR": dirs["NOMAD_TASK_DIR"], "NOMAD_SECRETS_DIR": dirs["NOMAD_SECRETS_DIR"],
	})
	if parent := value(j.ParentID); parent != "" {
		env["NOMAD_JOB_PARENT_ID"] = parent
	}
	maps.Copy(env, portVariables(a.Allocation))
	for k, v := range r.meta(t) {
		env["NOMAD_META_"+k] = v
		env["NOMAD_META_"+strings.ToUpper(k)] = v
	}
	outer := maps.Clone(env)
	for k, v := range t.Env {
		env[k] = interpolate(v, outer)
	}
	return env
}

func (r *runner) meta(t *api.Task) map[string]string {
	out := map[string]string{}
	for _, level := range []map[string]string{r.job.Meta, r.group.Meta, t.Meta} {
		maps.Copy(out, level)
	}
	return out
}

func (r *runner) arguments(t *api.Task, env map[string]string) []string {
	list, _ := t.Config["args"].([]any)
	args := make([]string, len(list))
	for i, v := range list {
		args[i] = interpolate(fmt.Sprint(v), env)
	}
	return args
}

var reference = regexp.MustCompile(`\$\{([^}]*)\}`)

// unknownReference is the first reference in a task's config that nothing fills in,
// which Nomad refuses to run; empty where there is none. In env blocks they stay.
func (r *runner) unknownReference(t *api.Task) string {
	env := r.environment(t, r.dirs(t))
	command, _ := t.Config["command"].(string)
	for _, text := range append(r.arguments(t, env), interpolate(command, env)) {
		if m := reference.FindStringSubmatch(text); m != nil {
			return m[1]
		}
	}
	return ""
}

// interpolate fills in Nomad's runtime references; an unknown one stays as it is.
func interpolate(text string, env map[string]string) string {
	return reference.ReplaceAllStringFunc(text, func(whole string) string {
		name := strings.TrimSpace(whole[2 : len(whole)-1])
		known := map[string]string{
			"node.unique.name": nodeName, "node.unique.id": nodeID, "node.datacenter": "dc1",
			"node.region": "global", "node.pool": "default", "attr.kernel.name": "linux",
		}
		if v, ok := known[name]; ok {
			return v
		}
		if key, ok := strings.CutPrefix(name, `env["`); ok {
			name = strings.TrimSuffix(key, `"]`)
		} else if key, ok := strings.CutPrefix(name, "env."); ok {
			name = key
		}
		if v, ok := env[name]; ok {
			return v
		}
		return whole
	})
}

// lookUp finds a command as raw_exec does: a path, in the task's folder, on PATH.
func lookUp(name, dir, path string) (string, error) {
	candidates := []string{name}
	if !filepath.IsAbs(name) {
		candidates = []string{filepath.Join(dir, "local", name), filepath.Join(dir, name)}
		if !strings.Contains(name, "/") {
			for _, p := range filepath.SplitList(path) {
				candidates = append(candidates, filepath.Join(p, name))
			}
		}
	}
	for _, c := range candidates {
		if st, err := os.Stat(c); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return c, nil
		}
	}
	return "", fmt.Errorf("binary %q could not be found", name)
}

// credential is the user that a task names, where this process may be anyone and
// there is such a user; else the task runs as this process does.
func credential(name string) *syscall.Credential {
	if name == "" || os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil
	}
	uid, errU := strconv.ParseUint(u.Uid, 10, 32)
	gid, errG := strconv.ParseUint(u.Gid, 10, 32)
	if errU != nil || errG != nil {
		return nil
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}
