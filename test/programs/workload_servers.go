package programs

import (
	"github.com/monmod/monmod/test/internal/httpcheck"
	"github.com/monmod/monmod/test/internal/servers"
	"github.com/monmod/monmod/test/internal/target"
)

// crowd is the number of connections that are open at the same time.
const crowd = 50

var serverWorkloads = []Workload{
	{
		Name: "lighttpd", Prepare: writeDocs,
		Serve: func(Ground) servers.Server { return servers.Lighttpd },
		Also:  []target.How{twoRW, threeFull},
	},
	{
		Name: "nginx", Prepare: writeDocs,
		Serve: func(Ground) servers.Server { return servers.Nginx },
		Also:  []target.How{twoRW, threeRW},
	},
	{
		Name: "python http.server", Prepare: writeDocs,
		Serve: func(Ground) servers.Server { return servers.Python },
	},
	{
		Name: "busybox httpd -i", Prepare: writeDocs,
		Inetd: func(g Ground) []string { return []string{"busybox", "httpd", "-i", "-h", g.In} },
	},
}

func writeDocs(g Ground) error { return servers.WriteDocs(g.In) }

// visit is what every server is asked for: both pages on one connection, what is not there, what has not changed, a part of a
// page, and then a crowd.
func visit(addr string, persist bool) httpcheck.Plan {
	small, large := "/"+servers.SmallPage, "/"+servers.LargePage
	plan := httpcheck.Plan{Addr: addr, Crowd: crowd, CrowdPath: small, CrowdRounds: 1, Deadline: driveDeadline}
	if persist {
		plan.CrowdRounds = 3
	}
	for range 10 {
		plan.Requests = append(plan.Requests, httpcheck.Request{Method: "GET", Path: small})
	}
	plan.Requests = append(plan.Requests,
		httpcheck.Request{Method: "GET", Path: large},
		httpcheck.Request{Method: "HEAD", Path: small},
		httpcheck.Request{Method: "GET", Path: "/none.html"},
		httpcheck.Request{Method: "GET", Path: large, Header: []string{"Range: bytes=1000-70999"}},
		httpcheck.Request{Method: "GET", Path: small, Header: []string{"If-Modified-Since: Fri, 01 Jan 2021 00:00:00 GMT"}},
		httpcheck.Request{Method: "GET", Path: small, Header: []string{"Connection: close"}},
	)
	return plan
}
