"""The traffic of all models in one process: which version answers whom, and the trials that run."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from conveyor_server.calls import CallContext
from conveyor_server.index import Index, newest
from conveyor_server.model import Model
from conveyor_server.observation import ModelObserver, Observation
from conveyor_server.traffic.comparison import Comparison, TrialKey
from conveyor_server.traffic.rule import Rule
from conveyor_server.traffic.split import Split
from conveyor_server.traffic.state import TrafficState
from conveyor_server.traffic.trial import Trial, key_of

_NEW = TrafficState()


class Traffic:
    """The states that hold, applied to the models that are ready. Belongs to the event loop's thread."""

    def __init__(self, index: Index, observation: Observation, states: Mapping[str, TrafficState]) -> None:
        self._index = index
        self._observation = observation
        self._states = dict(states)
        self._splits: dict[str, Split] = {}
        self._trials: dict[str, Trial] = {}

    @property
    def states(self) -> Mapping[str, TrafficState]:
        """What was ever decided, by the models' names."""
        return self._states

    def names(self) -> Collection[str]:
        """The models that there are, and those of which something was decided."""
        return sorted({entry.name for entry in self._index.entries()} | self._states.keys())

    def state(self, name: str) -> TrafficState:
        """What holds for a model."""
        return self._states.get(name, _NEW)

    def take(self, name: str, state: TrafficState) -> None:
        """From now on this holds."""
        self._states[name] = state
        self._index.choose_again(name)

    def needed(self, name: str) -> Collection[int]:
        """The versions that a model's rule names."""
        rule = self.state(name).rule
        return () if rule is None else rule.versions

    def shares_out(self, name: str) -> bool:
        """Whether a share of the requests that name no version goes to a canary."""
        return name in self._splits

    def canary_for(self, name: str, version: str, request_id: str, context: CallContext) -> Model | None:
        """The canary version where this request is one of its share; None where it is not."""
        if not self._splits or version:
            return None
        split = self._splits.get(name)
        return split.canary if split is not None and split.takes(request_id, context) else None

    def choose(self, name: str, ready: Mapping[int, Model]) -> Model | None:
        """The version that answers requests that name none. Sets trials up, and ends them, on the way."""
        observers = self._observation.point(name, ready)
        state = self.state(name)
        self._set_up_trial(name, state, ready, observers)
        rule = state.rule
        if rule is None:
            return newest(name, ready)
        # Nothing newer takes the stable version's place unasked, nor what was found wanting.
        allowed = [version for version in ready if version <= rule.stable and version not in state.rejected]
        stand_ins = [version for version in allowed if version != rule.trial]
        return ready[max(stand_ins)] if stand_ins else None

    def trials(self) -> Collection[Trial]:
        """Those that run."""
        return self._trials.values()

    def comparisons(self) -> dict[TrialKey, Comparison]:
        """What this process has seen of each trial."""
        return {trial.key: trial.comparison for trial in self._trials.values()}

    def _set_up_trial(
        self, name: str, state: TrafficState, ready: Mapping[int, Model], observers: Mapping[int, ModelObserver]
    ) -> None:
        self._splits.pop(name, None)
        for observer in observers.values():
            observer.trial = None
        rule = state.rule
        if rule is None or rule.trial is None or rule.stable not in ready or rule.trial not in ready:
            if not self._hangs(rule, name, ready):
                self._trials.pop(name, None)
            elif name in self._trials:
                self._trials[name].note_hanging()
            return
        trial = self._trial(rule, state.revision, ready[rule.stable], ready[rule.trial])
        observers[rule.stable].trial = trial.observe_stable
        observers[rule.trial].trial = trial.observe_trial
        if rule.canary is not None:
            self._splits[name] = Split(rule, ready[rule.canary])

    def _hangs(self, rule: Rule | None, name: str, ready: Mapping[int, Model]) -> bool:
        """Whether the version on trial is not ready because it hangs, and not the machine as a whole."""
        hanging = {model.version for model in self._index.suspended() if model.name == name}
        return rule is not None and rule.stable in ready and rule.trial in hanging

    def _trial(self, rule: Rule, revision: int, stable: Model, trial: Model) -> Trial:
        known = self._trials.get(stable.name)
        if known is None or known.key != key_of(rule, revision, stable, trial) or not known.is_of(stable, trial):
            known = self._trials[stable.name] = Trial(rule, revision, stable, trial)
        return known
