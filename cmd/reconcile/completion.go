package main

import "strings"

// The program completes itself when COMP_LINE is set; the scripts only say so to
// the shell.
var completions = map[string]string{
	"bash": `complete -o default -C reconcile reconcile
`,
	"zsh": `autoload -U +X bashcompinit && bashcompinit
complete -o default -C reconcile reconcile
`,
	"fish": `function __complete_reconcile
    set -lx COMP_LINE (commandline -cp)
    test -z (commandline -ct)
    and set COMP_LINE "$COMP_LINE "
    reconcile
end
complete -f -c reconcile -a "(__complete_reconcile)"
`,
}

func runCompletion(in *invocation) int {
	code, ok := in.parse("bash|zsh|fish", `
		Prints a completion script for a shell in which reconcile is on the PATH, such as
		source <(reconcile completion bash)`)
	if !ok {
		return code
	}
	script, ok := completions[strings.Join(in.args, " ")]
	if !ok {
		return in.misuse("completion takes one shell: bash, zsh or fish.")
	}
	in.print("%s", script)
	return exitOK
}
