package watch

import "syscall"

// The file systems whose files others change without our kernel knowing.
var remoteTypes = map[uint32]bool{
	0x6969:     true, // NFS
	0x517b:     true, // SMB
	0xfe534d42: true, // SMB2
	0xff534d42: true, // CIFS
	0x65735546: true, // FUSE
	0x01021997: true, // 9P
	0x00c36400: true, // Ceph
	0x5346414f: true, // AFS
	0x6b414653: true, // kAFS
	0x73757245: true, // Coda
	0x0bd00bd0: true, // Lustre
	0x47504653: true, // GPFS
	0x01161970: true, // GFS2
	0x7461636f: true, // OCFS2
	0x786f4256: true, // VirtualBox
}

func remote(path string) bool {
	var s syscall.Statfs_t
	return syscall.Statfs(path, &s) == nil && remoteTypes[uint32(s.Type)]
}
