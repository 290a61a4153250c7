package nomadtest

import "syscall"

// dieWithParent has the kernel kill the task if this process dies without Close.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
