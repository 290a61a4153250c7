package sudo_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"nomad-reconcile/policies/sudo"
)

func TestCalls(t *testing.T) {
	t.Parallel()
	start := []string{"/opt/start.sh", "now"}
	tests := map[string]struct {
		args []string
		want []sudo.Call
	}{
		"plain":        {[]string{"sudo", "/opt/start.sh", "now"}, []sudo.Call{{Command: start, Line: "sudo /opt/start.sh now", Known: true}}},
		"preserving":   {[]string{"/usr/bin/sudo", "-nE", "/opt/start.sh", "now"}, []sudo.Call{{Preserve: true, Command: start, Line: "sudo -nE /opt/start.sh now", Known: true}}},
		"user":         {[]string{"sudo", "-nu", "app", "-g", "adm", "--", "/opt/start.sh", "now"}, []sudo.Call{{User: "app", Command: start, Line: "sudo -nu app -g adm -- /opt/start.sh now", Known: true}}},
		"user after":   {[]string{"sudo", "-uapp", "A=b", "/opt/start.sh", "now"}, []sudo.Call{{User: "app", Command: start, Line: "sudo -uapp A=b /opt/start.sh now", Known: true}}},
		"long":         {[]string{"sudo", "--user=app", "--preserve-env=A,B", "/opt/start.sh", "now"}, []sudo.Call{{User: "app", Preserve: true, Command: start, Line: "sudo --user=app --preserve-env=A,B /opt/start.sh now", Known: true}}},
		"long, next":   {[]string{"sudo", "--user", "app", "--prompt", "-u", "/opt/start.sh", "now"}, []sudo.Call{{User: "app", Command: start, Line: "sudo --user app --prompt -u /opt/start.sh now", Known: true}}},
		"in a shell":   {[]string{"bash", "-c", "cd /tmp && sudo -u app /opt/start.sh now; sudo -E id"}, []sudo.Call{{User: "app", Command: start, Line: "sudo -u app /opt/start.sh now", Known: true}, {Preserve: true, Command: []string{"id"}, Line: "sudo -E id", Known: true}}},
		"behind env":   {[]string{"env", "A=b", "sudo", "/opt/start.sh", "now"}, []sudo.Call{{Command: start, Line: "sudo /opt/start.sh now", Known: true}}},
		"a shell":      {[]string{"sudo", "-s"}, []sudo.Call{{Line: "sudo -s", Known: true}}},
		"unknown":      {[]string{"sudo", "/opt/${NOMAD_META_x}"}, []sudo.Call{{Command: []string{"/opt/${NOMAD_META_x}"}, Line: "sudo /opt/${NOMAD_META_x}"}}},
		"unknown word": {[]string{"sudo", "-E", "${NOMAD_META_x}", "1"}, []sudo.Call{{Preserve: true, Command: []string{"${NOMAD_META_x}", "1"}, Line: "sudo -E ${NOMAD_META_x} 1"}}},
		"runs none":    {[]string{"sudo", "-l"}, nil},
		"no sudo":      {[]string{"/opt/start.sh", "sudo.conf"}, nil},
		"nothing":      {nil, nil},
	}
	for name, tt := range tests {
		if diff := cmp.Diff(tt.want, sudo.Calls(tt.args)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
