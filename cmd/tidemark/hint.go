package main

import (
	"errors"

	"tidemark.dev/tidemark/cmd/internal/app"
	"tidemark.dev/tidemark/cmd/internal/config"
	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/cluster"
	"tidemark.dev/tidemark/render"
	"tidemark.dev/tidemark/render/git"
	"tidemark.dev/tidemark/render/helm"
	"tidemark.dev/tidemark/state"
)

func isUsage(err error) bool {
	var usage *app.UsageError
	return errors.As(err, &usage)
}

// codeOf gives the exit code of an error that ended a command before, or
// without, a run.
func codeOf(err error) int {
	if isUsage(err) {
		return exitUsage
	}
	return reconcile.ExitOf(err)
}

// hints are the words for each case of an error; the first that fits is given.
var hints = []struct { //nolint:gochecknoglobals // a table
	is   error
	hint string
}{
	{git.ErrAuth, "give credentials: TIDEMARK_GIT_TOKEN, TIDEMARK_GIT_PASSWORD, --git-ssh-key-file or --git-secret, or auth: of the repository in the configuration"},
	{git.ErrNotFound, "check the URL; servers also answer so when the credentials may not see the repository"},
	{git.ErrRefNotFound, "check --ref, or ref: in the configuration; git ls-remote URL lists what there is"},
	{git.ErrHostKey, "known hosts are read from ~/.ssh/known_hosts, --git-known-hosts-file, TIDEMARK_GIT_KNOWN_HOSTS, or known_hosts in the Secret"},
	{git.ErrLimit, "raise limits: of the repository in the configuration"},
	{git.ErrUnreachable, "check the URL and the network from here; HTTPS_PROXY is honoured"},
	{render.ErrNoPath, "check --path, or source.path in the configuration; it is relative to the root of the repository"},
	{helm.ErrNoCapabilities, "pin them with --kube-version, or name a cluster"},
	{cluster.ErrPlugin, "allow it with --allow-exec or cluster.allowExec, if you trust the kubeconfig"},
	{reconcile.ErrDenied, "grant it to whom the run is in the cluster, by a Role or ClusterRole and its binding"},
	{reconcile.ErrSkew, "let this machine's clock be set by NTP"},
	{reconcile.ErrSlow, "run nearer to the store, or raise --lease-ttl"},
	{reconcile.ErrNeedless, "tidemark state show tells how things stand"},
	{reconcile.ErrNotDead, "tidemark state show tells who has the lease; --force takes it from a run that is alive"},
	{reconcile.ErrNoLineage, "make sure that state and cluster are the right ones. A new ledger may begin where no head.json is, and takes the objects over when its apps say adopt: [\"tidemark:MARKS\"]"},
	{reconcile.ErrCluster, "check context and kubeconfig; if the cluster was rebuilt, or restored as another one, give it the state: tidemark state adopt-cluster"},
	{reconcile.ErrWitness, "first make sure that this is the right state: the Lease names the one that the cluster knows. Then restore the newest one, or make it anew from the cluster: tidemark state rebuild. When the ledger was given up on purpose, delete the Lease"},
	{state.ErrRolledBack, "somebody restored an old copy of the state: restore the newest one, or make it anew from the cluster: tidemark state rebuild"},
	{state.ErrNewer, "use the newer Tidemark"},
	{state.ErrDamaged, "restore head.json and what it names from a backup or an older version in the bucket, or make it anew from the cluster: tidemark state rebuild"},
	{state.ErrUnfit, "keep the state in a store with atomic conditional writes, and without a cache before it: Amazon S3, Google Cloud Storage, a local directory"},
	{state.ErrRefused, "check the credentials, that the bucket exists, and that they may read and write it"},
	{state.ErrNoAnswer, "check the URL of the state and the network from here"},
	{apply.ErrUnreachable, "check kubeconfig, context and the network from here"},
}

// hint says what to do about an error, or nothing.
func hint(err error) string {
	var usage *app.UsageError
	var wrong *config.Error
	var held *state.HeldError
	switch {
	case errors.As(err, &usage):
		return usage.Hint
	case errors.As(err, &wrong):
		return "cmd/internal/config/" + wrong.Schema + " of the repository describes every field, also to editors"
	case errors.As(err, &held):
		return "wait for that run, or try again later; if it is dead, the next run takes over by itself, and tidemark unlock does it now"
	}
	for _, h := range hints {
		if errors.Is(err, h.is) {
			return h.hint
		}
	}
	return ""
}

// nextSteps are what to do about an exit code where no error says more.
var nextSteps = map[int]string{ //nolint:gochecknoglobals // a table
	reconcile.ExitRefused:     "if it is meant, let the plan pass once with tidemark approve; if not, mend the repository",
	reconcile.ExitPartial:     "the record names each object that failed, and why; once that is mended, the next run goes on from here",
	reconcile.ExitConfig:      "mend what the message names and run again; until then everything stays as it is",
	reconcile.ExitState:       "nothing was applied; tidemark status and tidemark audit verify show what the state holds",
	reconcile.ExitLost:        "another run took over and finishes the work; raise --lease-ttl if machines stall here for as long as that",
	reconcile.ExitUnreachable: "run again once it answers: the next run goes on from here",
	reconcile.ExitInterrupted: "run again: the next run goes on from here; a run that was out of time wants a longer --timeout",
	reconcile.ExitRolledBack:  "the revision is not tried again: push another one",
}

// advice says what to do about an error; of one that is no usage error, always
// something.
func advice(err error) string {
	if text := hint(err); text != "" {
		return text
	}
	return nextSteps[codeOf(err)]
}
