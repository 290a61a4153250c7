package nomadtest

import (
	"net"
	"slices"
	"strconv"

	"github.com/hashicorp/nomad/api"
)

// hostIP is where tasks listen.
const hostIP = "127.0.0.1"

// allocate gives an allocation its ports: static ones as they are, even if another
// allocation has them too, and any free ones for the rest.
func allocate(g *api.TaskGroup) *api.AllocatedResources {
	out := &api.AllocatedResources{Tasks: map[string]*api.AllocatedTaskResources{}}
	for _, n := range g.Networks {
		for _, p := range slices.Concat(n.ReservedPorts, n.DynamicPorts) {
			port := p.Value
			if port == 0 {
				port = freePort()
			}
			out.Shared.Ports = append(out.Shared.Ports, api.PortMapping{Label: p.Label, Value: port, To: p.To, HostIP: hostIP})
		}
	}
	return out
}

// freePort is 0 where the system has none left.
func freePort() int {
	l, err := net.Listen("tcp", net.JoinHostPort(hostIP, "0"))
	if err != nil {
		return 0
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// portVariables are the ports of an allocation as its tasks see them.
func portVariables(a *api.Allocation) map[string]string {
	env := map[string]string{}
	for _, p := range a.AllocatedResources.Shared.Ports {
		port := strconv.Itoa(p.Value)
		env["NOMAD_PORT_"+p.Label], env["NOMAD_HOST_PORT_"+p.Label] = port, port
		env["NOMAD_IP_"+p.Label], env["NOMAD_ADDR_"+p.Label] = p.HostIP, net.JoinHostPort(p.HostIP, port)
	}
	return env
}
