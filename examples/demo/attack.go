package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/monmod/monmod/examples/vulnerable"
	"github.com/monmod/monmod/examples/vulnerable/exploit"
	"github.com/monmod/monmod/internal/ociimage"
)

const (
	attackLimit    = 15 * time.Second
	exitDivergence = 70
	secret         = "the-combination-is-4711"
	vulnerableName = "vulnerable-server"
)

// attack shows the same exploit twice: on the unmonitored server, where it works, and on variants, where it is stopped.
func (d *demo) attack(ctx context.Context) error {
	say("2. A server with a stack overflow")
	dir := filepath.Join(d.dir, "vulnerable")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	programs, err := vulnerable.Build(ctx, dir)
	if err != nil {
		return err
	}
	image := ociimage.Image{
		Name:       "demo-vulnerable:1",
		Programs:   map[string]string{"/usr/sbin/" + vulnerableName: programs.PIE},
		Files:      map[string]string{"/etc/secret": secret + "\n"},
		Entrypoint: []string{"/usr/sbin/" + vulnerableName},
	}
	if err := d.attackUnmonitored(ctx, image); err != nil {
		return err
	}
	return d.attackMonitored(ctx, image)
}

func (d *demo) attackUnmonitored(ctx context.Context, image ociimage.Image) error {
	say("The attack on the unmonitored server")
	reply, reached, _, err := d.shoot(ctx, container{id: "monmod-demo-unmonitored", image: image})
	if err != nil {
		return err
	}
	tell("the server answered %q", reply)
	if !reached {
		return errors.New("the attack does not even work on the unmonitored server: stopping it would prove nothing")
	}
	tell("the secret of its container left the machine")
	return nil
}

func (d *demo) attackMonitored(ctx context.Context, image ociimage.Image) error {
	say("The same attack on %d variants", variants)
	reply, reached, code, err := d.shoot(ctx, container{id: "monmod-demo-monitored", image: image, variants: variants})
	if err != nil {
		return err
	}
	if reached || !strings.HasPrefix(exploit.Attacks[0].Harmless, reply) {
		return fmt.Errorf("the attack was NOT stopped: the server answered %q", reply)
	}
	tell("the server answered nothing: %q", reply)
	if code != exitDivergence {
		return fmt.Errorf("the group ended with exit code %d, not %d", code, exitDivergence)
	}
	tell("the group ended with exit code %d", code)

	report := exec.CommandContext(ctx, d.monmod, "report", "--last", "--logs", d.logs)
	say("$ %s", shown(report))
	text, err := report.Output()
	if err != nil {
		return fmt.Errorf("reading the report: %s: %w", shown(report), err)
	}
	fmt.Printf("%s", text)
	return nil
}

// shoot starts the server and attacks it with its real addresses. It returns what the server answered, whether the attack
// reached its goal, and the exit code of the container.
func (d *demo) shoot(ctx context.Context, c container) (reply string, reached bool, code int, err error) {
	if c.port, err = freePort(); err != nil {
		return "", false, 0, err
	}
	c.program, c.args = vulnerableName, []string{"-p", strconv.Itoa(c.port)}
	server, err := d.start(ctx, c)
	if err != nil {
		return "", false, 0, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()

	pid, err := exploit.FindServer(server.address(), c.program)
	if err != nil {
		return "", false, 0, err
	}
	target, err := exploit.ReadTarget(pid, c.program)
	if err != nil {
		return "", false, 0, err
	}
	attack := exploit.Attacks[0]
	tell("%s: %s", attack.Name, attack.About)
	tell("the attacker is told where the program lies: process %d, base %#x", pid, target.Program.Base)
	if reply, reached, err = attack.Run(server.address(), target, exploit.Goal{Secret: secret}, attackLimit); err != nil {
		return "", false, 0, err
	}
	code, err = server.wait(ctx)
	return reply, reached, code, err
}
