package sudo_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"mvdan.cc/sh/v3/syntax"

	"nomad-reconcile/policies/sudo"
)

// shellCases are scripts given to sh -c: want is the script with the edits made
// (empty: nothing is found), and doubts are the words that cannot be told, with a
// demand that has no edit as "!" and its word.
var shellCases = []struct{ name, script, want, doubts string }{
	{"plain", "sudo -E ./run", "sudo ./run", ""},
	{"nothing", "sudo ./run -E", "", ""},
	{"after &&", "cd /x && sudo -E ./run", "cd /x && sudo ./run", ""},
	{"a bundle", "sudo -nE x", "sudo -n x", ""},
	{"a bundle with a user", "sudo -nEu root x", "sudo -nu root x", ""},
	{"a list of variables", "sudo --preserve-env=A,B x", "sudo x", ""},
	{"double quotes", `sudo "-E" x`, "sudo x", ""},
	{"single quotes", "sudo '-E' x", "sudo x", ""},
	{"quotes inside a word", `sudo -n"E" x`, `sudo -n"" x`, ""},
	{"an escape", `sudo \-E x`, "sudo x", ""},
	{"an escaped letter", `sudo -n\E x`, "sudo -n x", ""},
	{"a dollar quote", `sudo $'-E' x`, "sudo x", ""},
	{"the name quoted", `"sudo" -E x`, `"sudo" x`, ""},
	{"a path", "/usr/bin/sudo -E x", "/usr/bin/sudo x", ""},
	{"twice", "sudo -E -E x", "sudo x", ""},
	{"two commands", "sudo -E a; sudo -E b", "sudo a; sudo b", ""},
	{"more blanks", "sudo   -E\t x", "sudo\t x", ""},
	{"at the end", "sudo -s -E", "sudo -s", ""},
	{"before ;", "sudo -s -E; x", "sudo -s; x", ""},
	{"before a redirection", "sudo -C 3 -E>log x", "sudo -C 3 >log x", ""},
	{"after a redirection", "sudo >log -E x", "sudo >log x", ""},
	{"a line that goes on", "sudo \\\n  -E \\\n  x", "sudo \\\n  x", ""},
	{"goes on after it", "sudo -E \\\n  x", "sudo \\\n  x", ""},
	{"two on lines of their own", "sudo \\\n  -E \\\n  -E \\\n  x", "sudo \\\n  x", ""},
	{"two at the end of lines", "sudo \\\n  -E \\\n  -E", "sudo \\\n  ", ""},
	{"before what is opaque", "sudo \\\n  -E $X", "sudo \\\n  $X", "$X"},
	{"a comment", "# sudo -E x\ntrue", "", ""},
	{"text", `echo "sudo -E x"`, "", ""},
	{"a value", "sudo -p -E x", "", ""},
	{"a user", "sudo -u -E x", "", ""},
	{"-uE", "sudo -uE x", "", ""},
	{"end of options", "sudo -- -E", "", ""},
	{"pipeline, left", "sudo -E cat f | wc", "sudo cat f | wc", ""},
	{"pipeline, right", "cat f | sudo -E tee g", "cat f | sudo tee g", ""},
	{"or", "true || sudo -E x", "true || sudo x", ""},
	{"background", "sudo -E x & wait", "sudo x & wait", ""},
	{"subshell", "(sudo -E x)", "(sudo x)", ""},
	{"block", "{ sudo -E x; }", "{ sudo x; }", ""},
	{"if", "if sudo -E a; then sudo -E b; else sudo -E c; fi", "if sudo a; then sudo b; else sudo c; fi", ""},
	{"for", "for i in 1 2; do sudo -E x $i; done", "for i in 1 2; do sudo x $i; done", ""},
	{"while", "while sudo -E a; do :; done", "while sudo a; do :; done", ""},
	{"case", "case $1 in a) sudo -E x;; esac", "case $1 in a) sudo x;; esac", ""},
	{"function", "f() { sudo -E x; }; f", "f() { sudo x; }; f", ""},
	{"substitution", "y=$(sudo -E x)", "y=$(sudo x)", ""},
	{"substitution in quotes", `echo "got $(sudo -E x)"`, `echo "got $(sudo x)"`, ""},
	{"backquotes", "y=`sudo -E x`", "y=`sudo x`", ""},
	{"process substitution", "diff <(sudo -E a) b", "diff <(sudo a) b", ""},
	{"in a test", "[[ $(sudo -E x) == y ]]", "[[ $(sudo x) == y ]]", ""},
	{"not", "! sudo -E x", "! sudo x", ""},
	{"time", "time sudo -E x", "time sudo x", ""},
	{"time -p", "time -p sudo -E x", "time -p sudo x", ""},
	{"coproc", "coproc sudo -E x", "coproc sudo x", ""},
	{"declaration", "local x=$(sudo -E y)", "local x=$(sudo y)", ""},
	{"assignment", "X=1 sudo -E x", "X=1 sudo x", ""},
	{"assignment to sudo", "sudo X=1 -E x", "sudo X=1 x", ""},
	{"env", "env X=1 sudo -E x", "env X=1 sudo x", ""},
	{"env options", "env -i -u A -C /tmp B=2 sudo -E x", "env -i -u A -C /tmp B=2 sudo x", ""},
	{"env, long options", "env --ignore-environment --unset=A --chdir /x sudo -E x", "env --ignore-environment --unset=A --chdir /x sudo x", ""},
	{"env -S", `env -S "X=1 sudo -E" x`, `env -S "X=1 sudo" x`, ""},
	{"env --split-string", `env --split-string="sudo -E x"`, `env --split-string="sudo x"`, ""},
	{"nohup", "nohup sudo -E x &", "nohup sudo x &", ""},
	{"timeout", "timeout -k 5 --signal KILL 10 sudo -E x", "timeout -k 5 --signal KILL 10 sudo x", ""},
	{"timeout of a variable", "timeout $T sudo -E x", "timeout $T sudo x", ""},
	{"exec", "exec -a name sudo -E x", "exec -a name sudo x", ""},
	{"xargs", "ls | xargs -0 -n 1 -I {} sudo -E rm {}", "ls | xargs -0 -n 1 -I {} sudo rm {}", ""},
	{"nice", "nice -n 5 sudo -E x", "nice -n 5 sudo x", ""},
	{"nice, joined", "nice -5 ionice -c2 -n 7 sudo -E x", "nice -5 ionice -c2 -n 7 sudo x", ""},
	{"setsid", "setsid -f sudo -E x", "setsid -f sudo x", ""},
	{"stdbuf", "stdbuf -oL -e 0 sudo -E x", "stdbuf -oL -e 0 sudo x", ""},
	{"command", "command sudo -E x", "command sudo x", ""},
	{"command -v", "command -v sudo -E", "", ""},
	{"chroot", "chroot --userspec=a:b /mnt sudo -E x", "chroot --userspec=a:b /mnt sudo x", ""},
	{"network namespace", "ip netns exec blue sudo -E x", "ip netns exec blue sudo x", ""},
	{"flock", "flock -n /l sudo -E x", "flock -n /l sudo x", ""},
	{"flock -c", "flock /l -c 'sudo -E x'", "flock /l -c 'sudo x'", ""},
	{"su -c", `su - app -c "sudo -E x"`, `su - app -c "sudo x"`, ""},
	{"runuser", "runuser -u app -- sudo -E x", "runuser -u app -- sudo x", ""},
	{"find -exec", `find . -name a -exec sudo -E x {} \;`, `find . -name a -exec sudo x {} \;`, ""},
	{"nested sudo", "sudo -E sudo -E x", "sudo sudo x", ""},
	{"sudo, then a wrapper", "sudo env A=1 nice sudo -E x", "sudo env A=1 nice sudo x", ""},
	{"sudo -l runs nothing", "sudo -l sudo -E", "", ""},
	{"sudo bash -c", `sudo bash -c "cd /x && sudo -E y"`, `sudo bash -c "cd /x && sudo y"`, ""},
	{"nested shells", `bash -c "sh -c 'sudo -E x'"`, `bash -c "sh -c 'sudo x'"`, ""},
	{"nested escapes", `bash -c "sh -c \"sudo \\\"-E\\\" x\""`, `bash -c "sh -c \"sudo x\""`, ""},
	{"quotes that change in a script", `bash -c "sudo "-E" x"`, `bash -c "sudo"" x"`, ""},
	{"eval", `eval "sudo -E x"`, `eval "sudo x"`, ""},
	{"eval of words", "eval sudo -E x", "eval sudo x", ""},
	{"trap", "trap 'sudo -E x' EXIT", "trap 'sudo x' EXIT", ""},
	{"alias", "alias s='sudo -E'", "alias s='sudo'", ""},
	{"here-document", "bash <<EOF\nsudo -E x\nEOF\n", "bash <<EOF\nsudo x\nEOF\n", ""},
	{"quoted here-document", "sudo -u a sh -s -- 1 <<'EOF'\nsudo -E \"$1\"\nEOF\n", "sudo -u a sh -s -- 1 <<'EOF'\nsudo \"$1\"\nEOF\n", `"$1"`},
	{"here-document with tabs", "sh -e <<-EOF\n\tif true; then\n\t\tsudo -E x\n\tfi\n\tEOF\n", "sh -e <<-EOF\n\tif true; then\n\t\tsudo x\n\tfi\n\tEOF\n", ""},
	{"here-document for sudo -s", "sudo -s <<EOF\nsudo -E x\nEOF\n", "sudo -s <<EOF\nsudo x\nEOF\n", ""},
	{"here-document for cat", "cat <<EOF\nsudo -E x\nEOF\n", "", ""},
	{"here-document through cat", "cat <<EOF | bash\nsudo -E x\nEOF\n", "cat <<EOF | bash\nsudo x\nEOF\n", ""},
	{"here-document into a script", "cat >/x/run.sh <<'EOF'\nsudo -E x\nEOF\n", "cat >/x/run.sh <<'EOF'\nsudo x\nEOF\n", ""},
	{"substitution in a here-document", "cat <<EOF\n$(sudo -E x)\nEOF\n", "cat <<EOF\n$(sudo x)\nEOF\n", ""},
	{"here-string", `bash <<< "sudo -E x"`, `bash <<< "sudo x"`, ""},
	{"echo into a shell", `echo "sudo -E x" | sh`, `echo "sudo x" | sh`, ""},
	{"an array", "a=(1 2); sudo -E x", "a=(1 2); sudo x", ""},
	{"a script file", "bash run.sh sudo -E", "", "run.sh"},
	{"opaque command", "$SUDO -E ./run", "", "$SUDO"},
	{"opaque command, all of it", "$CMD -E ./run; `x` --preserve-env y", "", "$CMD `x`"},
	{"opaque command by its name", "${SUDO_CMD} ls", "", "${SUDO_CMD}"},
	{"opaque command by default", `"${S:-sudo}" ls`, "", `"${S:-sudo}"`},
	{"opaque command by value", `S="sudo -E"; $S ls`, "", "$S"},
	{"opaque command, unsuspected", `$CMD ls; exec "$@"`, "", ""},
	{"opaque folder", `"$DIR"/sudo -E x`, `"$DIR"/sudo x`, ""},
	{"opaque folder of another command", `"$DIR"/run -E x`, "", ""},
	{"opaque option", "sudo $FLAGS ./run", "", "$FLAGS"},
	{"opaque option after one", "sudo -E $FLAGS ./run", "sudo $FLAGS ./run", "$FLAGS"},
	{"opaque array", `sudo "${ARGS[@]}"`, "", `"${ARGS[@]}"`},
	{"opaque arguments", `sudo "$@"`, "", `"$@"`},
	{"opaque substitution", "sudo $(opts) x", "", "$(opts)"},
	{"opaque glob", "sudo -* x", "", "-*"},
	{"opaque braces", "sudo -{n,E} x", "", "-{n,E}"},
	{"opaque end of a bundle", "sudo -n$X x", "", "-n$X"},
	{"a demand before what is opaque", `sudo -E"$X" x`, "", `! -E"$X"`},
	{"opaque value", `sudo -u "$USER" -E x`, `sudo -u "$USER" x`, ""},
	{"opaque values", `sudo -u "$@" -E x`, "", `"$@"`},
	{"opaque list", `sudo --preserve-env="$VARS" x`, "sudo x", ""},
	{"opaque folder of the command", "sudo $DIR/run -E", "", ""},
	{"opaque words before sudo", "$PREFIX sudo -E x", "", "$PREFIX"},
	{"opaque words before sudo in env", "nice $OPTS sudo -E x", "", "$OPTS"},
	{"opaque words before a shell", `$PREFIX bash -c "sudo -E x"`, "", "$PREFIX"},
	{"opaque escape", `sudo $'-\x45' x`, "", `$'-\x45'`},
	{"opaque in a nested script", `bash -c "sudo $FLAGS x"`, "", "$FLAGS"},
	{"an array as the command", "cmd=(sudo -E run --x)\n\"${cmd[@]}\"", "cmd=(sudo run --x)\n\"${cmd[@]}\"", ""},
	{"an array after exec", `cmd=(sudo -nE x); exec "${cmd[@]}"`, `cmd=(sudo -n x); exec "${cmd[@]}"`, ""},
	{"an array, appended to", `cmd=(sudo -n); cmd+=(-E x); ${cmd[*]}`, `cmd=(sudo -n); cmd+=( x); ${cmd[*]}`, ""},
	{"an array, the last of two", `cmd=(ls); cmd=(sudo -E x); "${cmd[@]}"`, `cmd=(ls); cmd=(sudo x); "${cmd[@]}"`, ""},
	{"an array without a demand", `cmd=(sudo ls); cmd+=(-l); "${cmd[@]}"; a=(-n); sudo "${a[@]}"`, "", ""},
	{"an array that only ends", `cmd+=(-E x); "${cmd[@]}"`, "", `"${cmd[@]}"`},
	{"an array by its parts", `cmd[0]=sudo; cmd[1]=-E; "${cmd[@]}"`, "", `"${cmd[@]}"`},
	{"an array, its first word", `cmd=(sudo -E x); $cmd ls`, "", "$cmd"},
	{"an array, a part of it", `cmd=(a sudo -E x); "${cmd[@]:1}"`, "", `"${cmd[@]:1}"`},
	{"an array of options may have other uses", `a=(-E x); grep "${a[@]}"; sudo "${a[@]}"`, "", "!"},
	{"an array of options, one of two", `a=(-E x); grep "${a[@]}"; a=(ls); sudo "${a[@]}"`, "", `"${a[@]}"`},
	{"an array in eval", `a=(sudo -E x); eval "${a[@]}"`, `a=(sudo x); eval "${a[@]}"`, ""},
	{"an array of itself", `a=(sudo); a=("${a[@]}" -E); "${a[@]}"`, "", `"${a[@]}" "${a[@]}"`},
	{"set --", `set -- sudo -E x; "$@"`, `set -- sudo x; "$@"`, ""},
	{"set --, split", "set -- sudo -E x; $*", "set -- sudo x; $*", ""},
	{"set and shift", `set -- a sudo -E x; shift; "$@"`, "", `"$@"`},
	{"set of options", `set -- -E x; sudo "$@"`, "", `"$@"`},
	{"options of the shell", `set -eu -o pipefail; sudo ls -E`, "", ""},
	{"a function's arguments", `run() { echo "+ $*"; "$@"; }; run sudo -E x; run sudo y; run ls -E`, `run() { echo "+ $*"; "$@"; }; run sudo x; run sudo y; run ls -E`, ""},
	{"a function's arguments, handed on", `run() { "$@"; }; main() { run "$@"; }; main sudo -E x`, `run() { "$@"; }; main() { run "$@"; }; main sudo x`, ""},
	{"a function's arguments as options", `s() { sudo "$@"; }; s -E x`, "", `"$@" !`},
	{"another function's arguments", `s() { sudo "$1"; }; g() { grep "$@"; }; g -E x`, "", `"$1"`},
	{"read", `read -r C <<< "sudo -E x"; $C`, "", "$C"},
	{"read from a pipe", "echo 'sudo -E x' | while read -r c; do $c; done", "", "$c"},
	{"read without sudo", "while read -r c; do $c; done <f; sudo x", "", ""},
	{"a loop over commands", "for c in 'sudo -E x'; do $c; done", "", "$c"},
	{"a variable of a variable", `A=sudo; B="$A -E"; $B x`, "", "$B"},
	{"a variable of a substitution", "C=$(echo sudo -E x); $C", "", "$C"},
	{"printf into a variable", "printf -v C 'sudo -E x'; $C", "", "$C"},
	{"printf into a shell", `printf 'set -e\nsudo -E x\n' | sh`, `printf 'set -e\nsudo x\n' | sh`, ""},
	{"printf of arguments", `printf '%s\n' 'sudo -E x' 'sudo -nE y' | bash -x`, `printf '%s\n' 'sudo x' 'sudo -n y' | bash -x`, ""},
	{"printf of words", `printf '%s %s %s\n' sudo -E x | sh`, `printf '%s %s %s\n' sudo x | sh`, ""},
	{"printf of an option", "printf 'sudo %s x' -E | sh", "", "%s"},
	{"echo of lines", `echo -e 'cd /x\nsudo -E x' | sh`, `echo -e 'cd /x\nsudo x' | sh`, ""},
	{"a block into a shell", "{ echo a; echo 'sudo -E x'; } | sudo sh", "{ echo a; echo 'sudo x'; } | sudo sh", ""},
	{"through sed into a shell", "echo 'sudo -E x' | sed s/a/b/ | sh", "", "echo 'sudo -E x' | sed s/a/b/"},
	{"into a shell, without a demand", "curl x | sudo sh; sudo cat x | sh; echo 'sudo x' | sed p | sh", "", ""},
	{"source", "source <(echo 'sudo -E x')", "source <(echo 'sudo x')", ""},
	{"source, by its dot", `. <(printf 'sudo -E x\n')`, `. <(printf 'sudo x\n')`, ""},
	{"echo into a script", "echo 'sudo -E x' > /tmp/x.sh; sh /tmp/x.sh", "echo 'sudo x' > /tmp/x.sh; sh /tmp/x.sh", ""},
	{"printf into a script", `printf 'sudo -E x\n' >>"$D/x.sh"`, `printf 'sudo x\n' >>"$D/x.sh"`, ""},
	{"echo through tee into a script", "echo 'sudo -E x' | sudo tee /x.sh", "echo 'sudo x' | sudo tee /x.sh", ""},
	{"echo into another file", "echo 'sudo -E x' > /tmp/x.txt", "", ""},
	{"quotes in the name", `su"do" -E x`, `su"do" x`, ""},
	{"empty quotes in the name", "su''do -E x", "su''do x", ""},
	{"an escape in the name", `s\udo -E x`, `s\udo x`, ""},
	{"a dollar quote in the name", "su$'do' -E x", "su$'do' x", ""},
	{"a glob as the name", "/usr/bin/sud* -E x", "", "/usr/bin/sud*"},
	{"a glob of one letter", "sud? -E x; s[u]do -n --preserve-env y", "", "sud? s[u]do"},
	{"braces in the name", `su{do,} -E x; {su"do",-E,x}`, "", `su{do,} {su"do",-E,x}`},
	{"globs elsewhere", "[ -E x ]; ls -E *.c", "", ""},
	{"braces as a value", "sudo -u {a,-E} x", "", "{a,-E}"},
	{"a value for -E", "sudo -E=x y", "", "!"},
	{"a blank that is none", "sudo -E\u00a0x", "", "!"},
	{"words in quotes", "sudo '-E x'; sudo '--preserve-env x'", "", "! !"},
	{"does not parse", "if sudo -E x", "", "?"},
	{"does not parse, without sudo", "if x", "", ""},
	{"nested, does not parse", `bash -c "(sudo -E x"`, "", "?"},
}

func TestShell(t *testing.T) { t.Parallel(); testScripts(t, shellCases) }

func testScripts(t *testing.T, cases []struct{ name, script, want, doubts string }) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			args := []string{"/bin/sh", "-ec", c.script}
			found := sudo.InArgs(args)
			inside(t, args, found)
			if c.want == "" {
				c.want = c.script
			}
			if diff := cmp.Diff(c.want, mend(args, found)[2]); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.doubts, doubts(found)); diff != "" {
				t.Errorf("cannot tell (-want +got):\n%s", diff)
			}
		})
	}
}

// unreadCases are scripts in which sudo hides from a reader of commands: behind
// another name, half a name, or a command that may run what it is given. None may
// pass in silence: wants and doubts are those of shellCases.
var unreadCases = []struct{ name, script, want, doubts string }{
	{"half a name", "A='do -E x'; su$A", "", "su$A"},
	{"half a name, unknown", "su$X ls", "", "su$X"},
	{"half a path", "B='o -E'; /usr/bin/sud$B x", "", "/usr/bin/sud$B"},
	{"half a name, the other half known", "A=su; B='do -E'; $A$B x", "", "$A$B"},
	{"half a name, one letter", "A='udo -E x'; s$A", "", "s$A"},
	{"half a name in eval", `A='do -E x'; eval "su$A"`, "", "su$A"},
	{"half a name into a shell", `A='do -E x'; echo "su$A" | sh`, "", "su$A"},
	{"half a name in a shell", `A='do -E x'; sh -c "su$A"`, "", "su$A"},
	{"half a name by printf", "printf 'su%s -E x' do | sh", "", "su%s"},
	{"letters by number", `printf '\x73udo -E x' | sh; echo -e 's\0165do -E x' | sh`, "", `\x73udo s\0165do`},
	{"another command's name and demand", `G="grep -E"; "$G" x; $G y; sudo ls`, "", ""},
	{"another word that begins so", "issu$X ls; sudo ls", "", ""},
	{"by default", ": ${x:=sudo -E y}; $x", "", "$x"},
	{"by another variable's name", "x='sudo -E y'; r=x; ${!r}", "", "${!r}"},
	{"by env", "env A='sudo -E x' sh -c '$A'", "", "$A"},
	{"brackets over quotes", `s["u"]do -E x; /usr/bin/s[u"v"]do -E y`, "", `s["u"]do /usr/bin/s[u"v"]do`},
	{"braces over quotes", `s{"u","x"}do -E x`, "", `s{"u","x"}do`},
	{"an extended glob", "su@(do) -E x; s+(u)do -E y", "", "su@(do) s+(u)do"},
	{"an alias", "alias s=sudo; s -E x", "", "s"},
	{"an alias and its options", "alias s='sudo -n'\ns $X y", "", "s"},
	{"an alias of an alias", "alias s=sudo t=s\nt -E x", "", "t"},
	{"an alias in eval", `eval "alias s=sudo"; s -E x`, "", "s"},
	{"an alias of a variable", "alias s=$X; s -E x", "", "s"},
	{"an alias, expanded for certain", "shopt -s expand_aliases; alias s='nice sudo'\ns -nE x", "", "s"},
	{"an alias without a demand", "alias s=sudo g='grep -E'; s ls -E; g x", "", ""},
	{"a link", "ln -s /usr/bin/sudo s; ./s -E x", "", "./s"},
	{"a copy", "sudo cp $(which sudo) /tmp/s; /tmp/s -E x", "", "/tmp/s"},
	{"hash", "hash -p /usr/bin/sudo s; s -E x", "", "s"},
	{"functions", `s() { sudo -E "$@"; }; s x`, `s() { sudo "$@"; }; s x`, `"$@"`},
	{"a program", "parallel sudo -E {} ::: a; ./run nice sudo -nE x", "", "parallel ./run"},
	{"a program of many words", "./run " + strings.Repeat("w ", 200) + "sudo -E x; ./go " + strings.Repeat("w ", 200) + "'sudo -E x'; ./do " + strings.Repeat("w ", 200) + "sudo x", "", "./run ./go"},
	{"a program's own line", `tmux new -d 'cd /x; sudo -u a -E x'; watch 'su"do" -E x'`, "", `tmux 'su"do" -E x'`},
	{"a program with half a line", `tmux new "sudo $FLAGS x"`, "", "tmux"},
	{"a program in a path", `"$DIR/run" sudo -E x; run$X sudo -E x`, "", `"$DIR/run" run$X`},
	{"a shell unknown here", "$SHELL -c 'sudo -E x'; fish -c 'sudo -E x'", "", "$SHELL fish"},
	{"options of a shell that are unknown", "bash -$X 'sudo -E x'", "", "-$X"},
	{"other languages", `python3 -c 'os.system("sudo -E x")'; python3 -c 'run(["sudo", "-u", "a", "-E", "x"])'`, "", "python3"},
	{"other languages, more", `perl -e 'exec qw(sudo -E x)'; awk 'BEGIN { system("sudo -E x") }'; ruby -e '` + "`sudo -E x`'", "", "perl awk ruby"},
	{"a container", "docker exec a sudo -E x; docker run --rm b sh -c 'sudo -E x'", "", "docker"},
	{"another host", "ssh h sudo -E x; ssh h 'sudo -E x'; echo sudo -E x | ssh h sh", "", ""},
	{"doas is not sudo", "doas -n ls -E", "", ""},
	{"doas of sudo", "doas -u a sudo -E x", "doas -u a sudo x", ""},
	{"a program's variable", "PAGER='sudo -E less' man x; export GIT_SSH_COMMAND='sudo -E ssh'", "", "'sudo -E less' 'sudo -E ssh'"},
	{"a program's input", "at now <<< 'sudo -E x'; echo 'sudo -E x' | crontab -", "", "at crontab"},
	{"a program's script", "python3 - <<EOF\nos.system('sudo -E x')\nEOF\n", "", "python3"},
	{"a program writes the script", "install -m 755 /dev/stdin /x <<EOF\n#!/bin/sh\nsudo -E x\nEOF\n", "", "install"},
	{"words of xargs", "echo sudo -E x | xargs nice; echo -E x | xargs sudo; ls | xargs sudo rm", "", "xargs xargs"},
	{"words that xargs puts", "ls | xargs -I{} {} -E x; ls | xargs -I{} sudo rm {}", "", "{}"},
	{"what find finds", `find / -name sudo -exec {} -E x \;`, "", "{}"},
	{"into a shell in a block", "echo sudo -E x | (sh); echo sudo -E x | if true; then sh; fi", "echo sudo x | (sh); echo sudo x | if true; then sh; fi", ""},
	{"by a function into a shell", "f() { echo sudo -E x; }; f | sh", "", "{ echo sudo -E x; }"},
	{"the standard input by name", ". /dev/stdin <<< 'sudo -E x'; echo 'sudo -E x' | bash /dev/stdin", ". /dev/stdin <<< 'sudo x'; echo 'sudo x' | bash /dev/stdin", ""},
	{"a process as the input", "sh < <(echo sudo -E x); sh <(echo sudo -E y)", "sh < <(echo sudo x); sh <(echo sudo y)", ""},
	{"a file that is run", "echo 'sudo -E x' >/x; sh /x", "echo 'sudo x' >/x; sh /x", ""},
	{"a file that is made to run", "cat >/x <<EOF\nsudo -E \"$1\"\nEOF\nchmod +x /x; /x y", "cat >/x <<EOF\nsudo \"$1\"\nEOF\nchmod +x /x; /x y", `"$1"`},
	{"a file that runs itself", "echo 'sudo -E x; sh /x; sh /x' >/x; sh /x", "echo 'sudo x; sh /x; sh /x' >/x; sh /x", ""},
	{"a file by its variable", "echo 'sudo -E x' >\"$F\"; $F y", "echo 'sudo x' >\"$F\"; $F y", ""},
	{"another file", "echo 'sudo -E x' >$F; sh $G; sh /x", "", ""},
	{"a file's arguments", ". ./run sudo -E; bash run.sh sudo -n x", "", "./run"},
	{"sudo without a demand, further on", "./run sudo y sh -c 'sudo ls'; ./run sudo ./run sudo ./run sh -c 'sudo ls'", "", ""},
	{"sudo without a demand", "./run sudo systemctl restart x; tmux new 'sudo ls -E'; python3 -c 'import sudo' -E; nginx -g 'user sudo; -E'", "", ""},
	{"text about sudo", `grep -E 'sudo -E' f; sed -i 's/sudo -E/sudo/' f; logger 'sudo -E'; curl -d 'sudo -E x' h; pgrep -f 'sudo -E'`, "", ""},
	{"text about sudo, by a function", `log() { echo "$*"; }; log "sudo -E x"; log sudo -E y`, "", ""},
	{"text about sudo, piped", "echo 'sudo -E x' | tee f | wc; cat <<EOF | grep x\nsudo -E x\nEOF\n", "", ""},
	{"a command that is only unknown", `$CMD args; "$@"; exec $X; run$X -E; sudo systemctl restart x`, "", ""},
}

func TestUnread(t *testing.T) { t.Parallel(); testScripts(t, unreadCases) }

// doubts are the words that cannot be told, or not be mended; "?" for a script.
func doubts(found []sudo.Found) string {
	var out []string
	for _, f := range found {
		switch {
		case f.Doubt != "" && f.Arg == "":
			out = append(out, "?")
		case f.Doubt != "":
			out = append(out, f.Arg)
		case !f.Fixable():
			out = append(out, "!")
		}
	}
	return strings.Join(out, " ")
}

// TestArgs: want is the list with the edits made.
func TestArgs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		args         []string
		want, doubts string // want joined by "|"
	}{
		{"plain", []string{"sudo", "-E", "x"}, "sudo|x", ""},
		{"env", []string{"/usr/bin/env", "X=1", "sudo", "-nE", "x"}, "/usr/bin/env|X=1|sudo|-n|x", ""},
		{"wrappers", []string{"nice", "-n", "5", "timeout", "5", "sudo", "-E", "x"}, "nice|-n|5|timeout|5|sudo|x", ""},
		{"-lc", []string{"bash", "-lc", "sudo -E x"}, "bash|-lc|sudo x", ""},
		{"-x -c", []string{"bash", "-x", "-c", "sudo -E x"}, "bash|-x|-c|sudo x", ""},
		{"-c --", []string{"bash", "-c", "--", "sudo -E x"}, "bash|-c|--|sudo x", ""},
		{"-o pipefail", []string{"bash", "-o", "pipefail", "-ec", "sudo -E x"}, "bash|-o|pipefail|-ec|sudo x", ""},
		{"-euo pipefail -c", []string{"bash", "-euo", "pipefail", "-c", "sudo -E x"}, "bash|-euo|pipefail|-c|sudo x", ""},
		{"--norc", []string{"bash", "--norc", "--rcfile", "f", "-c", "sudo -E x"}, "bash|--norc|--rcfile|f|-c|sudo x", ""},
		{"zsh", []string{"/bin/zsh", "-c", "sudo -E x"}, "/bin/zsh|-c|sudo x", ""},
		{"dash", []string{"/bin/dash", "-c", "sudo -E x"}, "/bin/dash|-c|sudo x", ""},
		{"ash by busybox", []string{"busybox", "ash", "-c", "sudo -E x"}, "busybox|ash|-c|sudo x", ""},
		{"not the script's arguments", []string{"sh", "-c", "exec \"$@\"", "sudo", "-E"}, "sh|-c|exec \"$@\"|sudo|-E", ""},
		{"the script's arguments", []string{"sh", "-c", "exec \"$@\"", "--", "sudo", "-E", "x"}, "sh|-c|exec \"$@\"|--|sudo|x", ""},
		{"the script's arguments as the command", []string{"sh", "-c", "\"$@\"", "_", "sudo", "-nE", "x"}, "sh|-c|\"$@\"|_|sudo|-n|x", ""},
		{"the script's arguments, all of them", []string{"sh", "-c", "exec \"$0\" \"$@\"", "sudo", "-E", "x"}, "sh|-c|exec \"$0\" \"$@\"|sudo|-E|x", "!"},
		{"the script's arguments as options", []string{"sh", "-c", "sudo \"$@\"", "_", "-E", "x"}, "sh|-c|sudo \"$@\"|_|-E|x", "!"},
		{"the script's arguments without a demand", []string{"sh", "-c", "sudo \"$@\"", "_", "-n", "x"}, "sh|-c|sudo \"$@\"|_|-n|x", ""},
		{"one of the script's arguments", []string{"sh", "-c", "$2 -E x", "_", "a", "sudo"}, "sh|-c|$2 x|_|a|sudo", ""},
		{"the script's arguments after shift", []string{"sh", "-c", "shift; exec \"$@\"", "_", "a", "sudo", "-E"}, "sh|-c|shift; exec \"$@\"|_|a|sudo|-E", "\"$@\""},
		{"the script's arguments in eval", []string{"sh", "-c", "eval \"$@\"", "_", "sudo", "-E"}, "sh|-c|eval \"$@\"|_|sudo|-E", "\"$@\""},
		{"the script's arguments as text", []string{"sh", "-c", "echo \"$@\"", "_", "sudo", "-E"}, "sh|-c|echo \"$@\"|_|sudo|-E", ""},
		{"two words in one element", []string{"sudo", "-E x"}, "sudo|-E x", "!"},
		{"a value for -E", []string{"sudo", "-E=x", "y"}, "sudo|-E=x|y", "!"},
		{"no shell for the elements", []string{"sudo", "$X", "*"}, "sudo|$X|*", ""},
		{"a file's arguments", []string{"bash", "local/run.sh", "-c", "sudo -E"}, "bash|local/run.sh|-c|sudo -E", "local/run.sh"},
		{"in both", []string{"sudo", "-E", "bash", "-c", "sudo -E x"}, "sudo|bash|-c|sudo x", ""},
		{"lines", []string{"sh", "-c", "set -e\nsudo -E a\nsudo -E b\n"}, "sh|-c|set -e\nsudo a\nsudo b\n", ""},
		{"runtime option", []string{"sudo", "${meta.flags}", "x"}, "sudo|${meta.flags}|x", "${meta.flags}"},
		{"runtime command", []string{"${meta.sudo}", "-E", "x"}, "${meta.sudo}|-E|x", "${meta.sudo}"},
		{"runtime words in a script", []string{"sh", "-c", "sudo ${meta.flags} -E x; sudo -E ${NOMAD_TASK_DIR}/x"},
			"sh|-c|sudo ${meta.flags} -E x; sudo ${NOMAD_TASK_DIR}/x", "${meta.flags}"},
		{"runtime words in single quotes", []string{"sh", "-c", "sudo '${meta.flags}' x"}, "sh|-c|sudo '${meta.flags}' x", "'${meta.flags}'"},
		{"runtime value", []string{"sh", "-c", "sudo -u ${meta.user} -E x"}, "sh|-c|sudo -u ${meta.user} x", ""},
		{"a runtime script", []string{"sh", "-c", "${meta.script}"}, "sh|-c|${meta.script}", ""},
		{"not sudo", []string{"grep", "-E", "sudo -E"}, "grep|-E|sudo -E", ""},
		{"another program", []string{"docker-entrypoint.sh", "sudo", "-E", "x"}, "docker-entrypoint.sh|sudo|-E|x", "docker-entrypoint.sh"},
		{"another language", []string{"python3", "-c", "os.system('sudo -E x')"}, "python3|-c|os.system('sudo -E x')", "python3"},
		{"a command with blanks", []string{"sudo -E x"}, "sudo -E x", "sudo -E x"},
		{"half a name", []string{"su${meta.x}", "ls"}, "su${meta.x}|ls", "su${meta.x}"},
		{"another program without a demand", []string{"local/run", "sudo", "ls", "-E"}, "local/run|sudo|ls|-E", ""},
		{"nothing", nil, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			found := sudo.InArgs(c.args)
			inside(t, c.args, found)
			if diff := cmp.Diff(c.want, strings.Join(mend(c.args, found), "|")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.doubts, doubts(found)); diff != "" {
				t.Errorf("cannot tell (-want +got):\n%s", diff)
			}
		})
	}
}

var templateCases = []struct {
	name string
	sudo.Template
	want, doubts string // want: empty for nothing found
}{
	{"by its name", sudo.Template{Destination: "local/run.sh", Data: "sudo -E x\n"}, "sudo x\n", ""},
	{"by its first line", sudo.Template{Data: "#!/bin/sh -e\nsudo -E x\n"}, "#!/bin/sh -e\nsudo x\n", ""},
	{"by its first line and env", sudo.Template{Data: "#!/usr/bin/env -S bash -e\nsudo -E x\n"}, "#!/usr/bin/env -S bash -e\nsudo x\n", ""},
	{"another language", sudo.Template{Destination: "run.sh", Data: "#!/usr/bin/python3\nsudo -E x\n", Executable: true}, "", ""},
	{"executable", sudo.Template{Destination: "local/run", Data: "sudo -E x\n", Executable: true}, "sudo x\n", ""},
	{"executable, no shell script", sudo.Template{Data: "sudo -E (\n", Executable: true}, "", ""},
	{"no script", sudo.Template{Destination: "local/notes.txt", Data: "sudo -E x\n"}, "", ""},
	{"actions that steer", sudo.Template{Destination: "a.sh", Data: "{{- if x }}\nsudo -E a\n{{ else }}\nsudo -nE b\n{{- end }}\n"},
		"{{- if x }}\nsudo a\n{{ else }}\nsudo -n b\n{{- end }}\n", ""},
	{"an action of several lines", sudo.Template{Destination: "a.sh", Data: "if true; then\n{{ range\n  ls \"}}\" }}\nsudo -E a\n{{ end }}\nfi\n"},
		"if true; then\n{{ range\n  ls \"}}\" }}\nsudo a\n{{ end }}\nfi\n", ""},
	{"an action as a word", sudo.Template{Destination: "a.sh", Data: "sudo {{ key \"flags\" }} x\n"}, "", `{{ key "flags" }}`},
	{"an action as a value", sudo.Template{Destination: "a.sh", Data: "sudo -u {{ key \"user\" }} -E x\n"}, "sudo -u {{ key \"user\" }} x\n", ""},
	{"an action in an argument", sudo.Template{Destination: "a.sh", Data: "sudo -E x --y='{{ with secret \"a\" }}{{ .B }}{{ end }}'\n"},
		"sudo x --y='{{ with secret \"a\" }}{{ .B }}{{ end }}'\n", ""},
	{"an action around an option", sudo.Template{Destination: "a.sh", Data: "sudo {{ if x }}-E{{ end }} y\n"}, "", "{{ if x }}-E{{ end }}"},
	{"a comment action", sudo.Template{Destination: "a.sh", Data: "{{/* sudo -E }} */}}\nsudo -E y\n"}, "{{/* sudo -E }} */}}\nsudo y\n", ""},
	{"an action as the command", sudo.Template{Destination: "a.sh", Data: "{{ key \"sudo\" }} y\n"}, "", `{{ key "sudo" }}`},
	{"other delimiters", sudo.Template{Destination: "a.sh", Data: "sudo [[ key \"f\" ]] x; sudo -E {{ y\n", Left: "[[", Right: "]]"},
		"sudo [[ key \"f\" ]] x; sudo {{ y\n", `[[ key "f" ]]`},
	{"lines that end as on Windows", sudo.Template{Destination: "a.sh", Data: "sudo -E x\r\ny\r\n"}, "sudo x\r\ny\r\n", ""},
	{"does not parse", sudo.Template{Destination: "a.sh", Data: "true\nsudo -E (\n"}, "", "?"},
	{"does not parse, without sudo", sudo.Template{Destination: "a.sh", Data: "$x (\n"}, "", ""},
}

func withDelimiters(s sudo.Template) sudo.Template {
	if s.Left == "" {
		s.Left, s.Right = "{{", "}}"
	}
	return s
}

func TestTemplate(t *testing.T) {
	t.Parallel()
	for _, c := range templateCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			found := sudo.InTemplate(withDelimiters(c.Template))
			inside(t, []string{c.Data}, found)
			if c.want == "" {
				c.want = c.Data
			}
			if diff := cmp.Diff(c.want, mend([]string{c.Data}, found)[0]); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.doubts, doubts(found)); diff != "" {
				t.Errorf("cannot tell (-want +got):\n%s", diff)
			}
		})
	}
}

// Lists that stand for each other are not followed without end, nor passed over.
func TestListsWithoutEnd(t *testing.T) {
	t.Parallel()
	for _, script := range []string{
		`f() { ` + strings.Repeat("f \"$@\" \"$@\" \"$@\"\n", 60) + `"$@"; }; f sudo -E x`,
		strings.Repeat("set -- 'eval \"$1\"; eval \"$1\"' sudo -E\n", 60) + `eval "$1"`,
	} {
		if found := sudo.InArgs([]string{"sh", "-c", script}); len(found) == 0 {
			t.Errorf("nothing is said about %.60q", script)
		}
	}
}

// FuzzShell: no panic; edits lie in the string and leave the rest as it is; with
// them made there is nothing more to mend, and what parsed still parses.
func FuzzShell(f *testing.F) {
	for _, c := range slices.Concat(shellCases, unreadCases) {
		f.Add(c.script, false)
	}
	for _, c := range templateCases {
		f.Add(c.Data, true)
	}
	f.Fuzz(func(t *testing.T, script string, template bool) {
		read := func(s string) []sudo.Found { return sudo.InArgs([]string{"sh", "-c", s}) }
		at := 2
		if template {
			read = func(s string) []sudo.Found {
				return sudo.InTemplate(withDelimiters(sudo.Template{Destination: "a.sh", Data: s}))
			}
			at = 0
		}
		found := read(script)
		args := []string{"sh", "-c", script}
		for i := range found {
			if found[i].Index != at {
				t.Fatalf("%+v", found[i])
			}
			found[i].Index = 2
		}
		inside(t, args, found)
		mended := mend(args, found)[2]
		for _, again := range read(mended) {
			if again.Fixable() {
				t.Fatalf("%q became %q, which still asks: %+v", script, mended, again)
			}
		}
		if !onlyTaken(script, mended) {
			t.Fatalf("%q became %q", script, mended)
		}
		if parses(script) && !parses(mended) {
			t.Fatalf("%q became %q, which is no shell script", script, mended)
		}
	})
}

func parses(s string) bool {
	_, err := syntax.NewParser().Parse(strings.NewReader(s), "")
	return err == nil
}

// onlyTaken: an edit takes bytes away and adds none.
func onlyTaken(before, after string) bool {
	for i := range len(before) {
		if after != "" && before[i] == after[0] {
			after = after[1:]
		}
	}
	return after == ""
}
