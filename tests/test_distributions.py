"""``torch.distributions`` against values and messages of PyTorch (``golden/distributions.json.gz``)."""

from __future__ import annotations

import gzip
import json
import math
import warnings
from pathlib import Path
from typing import Any

import pytest

import flambeau as torch

D = torch.distributions
T = D.transforms
C = D.constraints
t = torch.tensor
L, S = t([0.3, -1.2, 0.8]), t([0.5, 1.3, 2.0])
P, p = t([[0.2, 0.3, 0.5], [0.6, 0.1, 0.3]]), t([0.2, 0.5, 0.8])
A = t([[2.0, 0.3], [0.3, 1.0]])
GOLDEN = json.loads(gzip.decompress((Path(__file__).parent / "golden" / "distributions.json.gz").read_bytes()))

DISTRIBUTIONS = [
    "Bernoulli(probs=p)",
    "Bernoulli(logits=L)",
    "Beta(S,S+0.5)",
    "Binomial(10,probs=p)",
    "Binomial(10,logits=L)",
    "Categorical(probs=P)",
    "Categorical(logits=P)",
    "Cauchy(L,S)",
    "Chi2(S)",
    "ContinuousBernoulli(probs=p)",
    "Dirichlet(P*3)",
    "Exponential(S)",
    "FisherSnedecor(S+4,S+5)",
    "Gamma(S,S)",
    "GeneralizedPareto(L,S,t([0.1,0.0,-0.3]))",
    "Geometric(p)",
    "Geometric(logits=L)",
    "Gumbel(L,S)",
    "HalfCauchy(S)",
    "HalfNormal(S)",
    "Independent(D.Normal(P,P),1)",
    "InverseGamma(S+2,S)",
    "Kumaraswamy(S+1,S+1)",
    "LKJCholesky(3,0.7)",
    "Laplace(L,S)",
    "LogNormal(L,S*0.3)",
    "LogisticNormal(L,S)",
    "LowRankMultivariateNormal(L,P.T,S)",
    "MixtureSameFamily(D.Categorical(probs=P),D.Normal(P,P+1))",
    "Multinomial(5,probs=P)",
    "MultivariateNormal(L[:2],covariance_matrix=A)",
    "MultivariateNormal(P[:,:2],precision_matrix=A)",
    "MultivariateNormal(P[:,:2],scale_tril=A.tril())",
    "NegativeBinomial(5,probs=p)",
    "Normal(L,S)",
    "Normal(0,1)",
    "Normal(0.5,S)",
    "OneHotCategorical(P)",
    "OneHotCategoricalStraightThrough(P)",
    "Pareto(S,S+2)",
    "Poisson(S*3)",
    "RelaxedBernoulli(t(0.7),probs=p)",
    "RelaxedOneHotCategorical(t(0.7),probs=P)",
    "StudentT(S+2,L,S)",
    "StudentT(t([0.5,1.5,3.0]))",
    "Uniform(L,L+S)",
    "VonMises(L,S)",
    "Weibull(S,S+1)",
    "Wishart(t(4.0),covariance_matrix=A)",
    "TransformedDistribution(D.Normal(L,S),[D.AffineTransform(1.0,2.0),D.SigmoidTransform()])",
    "TransformedDistribution(D.Uniform(t(0.),t(1.)),[D.SigmoidTransform().inv,D.AffineTransform(L,S)])",
]
WRONG = [
    "Normal(L,-S)",
    "Bernoulli(probs=L)",
    "Categorical(probs=L)",
    "Categorical(logits=t(1.))",
    "Uniform(S,L)",
    "Bernoulli()",
    "Bernoulli(p,p)",
    "Geometric(t([0.0,0.5]))",
    "Dirichlet(t(1.))",
    "MultivariateNormal(L,A)",
    "MultivariateNormal(L[:2],-A)",
    "MultivariateNormal(L,scale_tril=L)",
    "Binomial(-1,p)",
    "Normal('a',1)",
    "Independent(D.Normal(0,1),1)",
    "LKJCholesky(1)",
    "Wishart(t(0.5),A)",
    "StudentT(-S)",
]
TRANSFORMS = {
    "exp": "T.ExpTransform()",
    "power": "T.PowerTransform(t(2.0))",
    "sig": "T.SigmoidTransform()",
    "softplus": "T.SoftplusTransform()",
    "tanh": "T.TanhTransform()",
    "abs": "T.AbsTransform()",
    "aff": "T.AffineTransform(L,S)",
    "aff1": "T.AffineTransform(0.5,-2.0,event_dim=1)",
    "corr": "T.CorrCholeskyTransform()",
    "softmax": "T.SoftmaxTransform()",
    "stick": "T.StickBreakingTransform()",
    "lower": "T.LowerCholeskyTransform()",
    "pd": "T.PositiveDefiniteTransform()",
    "cat": "T.CatTransform([T.ExpTransform(),T.SigmoidTransform()],dim=-1,lengths=[1,2])",
    "stack": "T.StackTransform([T.ExpTransform(),T.SigmoidTransform(),T.TanhTransform()],dim=-1)",
    "comp": "T.ComposeTransform([T.ExpTransform(),T.AffineTransform(1.,2.)])",
    "ind": "T.IndependentTransform(T.ExpTransform(),1)",
    "resh": "T.ReshapeTransform((3,),(3,1))",
    "cdf": "T.CumulativeDistributionTransform(D.Normal(L,S))",
}
CONSTRAINTS = [
    "positive",
    "unit_interval",
    "simplex",
    "real",
    "real_vector",
    "lower_cholesky",
    "corr_cholesky",
    "interval(1.,3.)",
    "greater_than(2.)",
    "less_than(2.)",
    "positive_definite",
    "independent(C.positive,1)",
    "stack([C.positive,C.real],-1)",
    "cat([C.positive,C.real],-1,[1,2])",
    "boolean",
    "integer_interval(0,3)",
]
DIVERGENCES = [
    "Bernoulli(p)",
    "Beta(S,S+1)",
    "Binomial(3,p)",
    "Categorical(P)",
    "Cauchy(L,S)",
    "ContinuousBernoulli(p)",
    "Dirichlet(P)",
    "Exponential(S)",
    "Gamma(S,S+1)",
    "Geometric(p)",
    "Gumbel(L,S)",
    "HalfNormal(S)",
    "Laplace(L,S)",
    "LowRankMultivariateNormal(L,P.T,S)",
    "MultivariateNormal(L,torch.diag(S)+0.1)",
    "Normal(L,S)",
    "OneHotCategorical(P)",
    "Pareto(S,S+2)",
    "Poisson(S)",
    "Uniform(p*0.5,p)",
    "Independent(D.Normal(P,P),1)",
    "LogNormal(L,S)",
    "Weibull(S,S)",
    "Wishart(t(5.),A)",
    "VonMises(L,S)",
    "LogisticNormal(L,S)",
]
GRADIENTS = [
    "Normal(a,b)",
    "Gamma(b,b)",
    "Beta(b,b+1)",
    "Dirichlet(torch.stack([b,b+1],-1))",
    "Laplace(a,b)",
    "StudentT(b+2,a,b)",
    "Uniform(a,a+b)",
    "Weibull(b,b)",
    "Kumaraswamy(b,b)",
    "LogNormal(a,b)",
    "Cauchy(a,b)",
    "Gumbel(a,b)",
    "Exponential(b)",
    "FisherSnedecor(b+3,b+2)",
    "InverseGamma(b+1,b)",
    "RelaxedBernoulli(t(0.5),logits=a)",
    "ContinuousBernoulli(logits=a)",
    "MultivariateNormal(a,torch.diag(b))",
    "LowRankMultivariateNormal(a,b[:,None],b)",
    "Pareto(b,b)",
    "HalfNormal(b)",
    "VonMises(a,b)",
    "Bernoulli(logits=a)",
    "Poisson(b)",
    "NegativeBinomial(b,logits=a)",
    "Binomial(4,logits=a)",
    "Geometric(logits=a)",
    "Categorical(logits=a)",
    "Multinomial(3,logits=a)",
    "OneHotCategoricalStraightThrough(logits=a)",
]


def made(text: str, **names: Any) -> Any:
    """The value of an expression of this file's names."""
    return eval(text, {**globals(), **names})


def shown(f: Any) -> Any:
    """A tensor as its values, shape and dtype; anything else as its representation; an error as type and message."""
    try:
        v = f()
    except Exception as error:
        return [type(error).__name__, str(error)]
    if isinstance(v, torch.Tensor):
        return [*v.detach().double().reshape(-1).tolist(), list(v.shape), str(v.dtype)]
    return repr(v)


def same(a: Any, b: Any, rtol: float = 2e-4) -> bool:
    """Equal but for rounding."""
    if isinstance(a, float) and isinstance(b, float):
        return a == b or (a != a and b != b) or math.isclose(a, b, rel_tol=rtol, abs_tol=1e-5)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y, rtol) for x, y in zip(a, b))
    return a == b


def check(expected: dict[str, Any], **actual: Any) -> None:
    """Compares by name; messages that name a class by its module are compared by type."""
    for name, value in actual.items():
        want = expected[name]
        if isinstance(want, list) and len(want) == 1 and isinstance(want[0], str):
            value = value[:1]
        assert same(want, value), (name, want, value)


@pytest.mark.parametrize("text", DISTRIBUTIONS)
@pytest.mark.filterwarnings("ignore:Singular sample")
def test_distribution(text: str) -> None:
    d = made("D." + text)
    shapes = repr((d.batch_shape, d.event_shape))
    check(GOLDEN[text], repr=repr(d), shapes=shapes, support=shown(lambda: d.support), entropy=shown(d.entropy))
    for name in ("mean", "mode", "variance", "stddev"):
        check(GOLDEN[text], **{name: shown(lambda name=name: getattr(d, name))})
    torch.manual_seed(3)
    samples = {"sample": shown(d.sample), "sample2": shown(lambda: d.sample((2,)))}
    check(GOLDEN[text], **samples, rsample=shown(lambda: d.rsample((2, 2))))
    torch.manual_seed(5)
    x = d.sample((2,))
    check(GOLDEN[text], log_prob=shown(lambda: d.log_prob(x)), cdf=shown(lambda: d.cdf(x)))
    check(GOLDEN[text], icdf=shown(lambda: d.icdf(torch.full(d.batch_shape, 0.3))), enum=shown(d.enumerate_support))
    check(GOLDEN[text], bad=shown(lambda: d.log_prob(t([[1.0] * 7]))), bad3=shown(lambda: d.log_prob(1.0)))
    check(GOLDEN[text], bad2=shown(lambda: d.log_prob(x * float("nan"))))


@pytest.mark.parametrize("text", DISTRIBUTIONS)
@pytest.mark.filterwarnings("ignore:Singular sample")
def test_expand(text: str) -> None:
    d = made("D." + text)
    wide = d.expand((2, *d.batch_shape))
    check(GOLDEN[text], expand=repr((wide.batch_shape, wide.event_shape)), expand_mean=shown(lambda: wide.mean))
    torch.manual_seed(7)
    check(GOLDEN[text], expand_sample=shown(wide.sample))


@pytest.mark.parametrize("text", WRONG)
def test_wrong_arguments(text: str) -> None:
    assert shown(lambda: made("D." + text)) == GOLDEN["ctor " + text]


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transform(name: str) -> None:
    tr, want = made(TRANSFORMS[name]), GOLDEN["T " + name]
    torch.manual_seed(0)
    x = torch.randn(4, 3)
    x = x.abs() if name == "power" else x[:3] if name in ("lower", "pd") else x
    check(want, y=shown(lambda: tr(x)), inv=shown(lambda: tr.inv(tr(x))), fs=shown(lambda: tr.forward_shape(x.shape)))
    check(want, ladj=shown(lambda: tr.log_abs_det_jacobian(x, tr(x))), sign=shown(lambda: tr.sign))
    check(want, bij=shown(lambda: tr.bijective), ev=shown(lambda: tr.event_dim))
    if name not in ("cat", "stack"):
        check(want, dom=shown(lambda: tr.domain), cod=shown(lambda: tr.codomain))
    if name != "cdf":
        check(want, repr=repr(tr), invrepr=repr(tr.inv))


@pytest.mark.parametrize("text", CONSTRAINTS)
def test_constraint(text: str) -> None:
    c, want = made("C." + text), GOLDEN["C " + text]
    torch.manual_seed(0)
    x = torch.randn(4, 3)
    check(want, chk=shown(lambda: c.check(x[:3] if "chol" in text or "def" in text else x)))
    if "stack" not in text and "cat" not in text:
        check(want, repr=repr(c), b=shown(lambda: D.biject_to(c)), t=shown(lambda: D.transform_to(c)))


@pytest.mark.parametrize(
    ("constraint", "good", "bad"),
    [
        (C.simplex, [[0.25, 0.75], [1.0, 0.0]], [[0.25, 0.75], [1.5, -0.5]]),
        (C.simplex, [[0.25, 0.75]], [[0.25, math.nan]]),
        (C.integer_interval(0, 3), [0.0, 3.0], [0.0, 2.5]),
        (C.integer_interval(0, 3), [0, 3], [0, 4]),
        (C.real_vector, [[math.inf, 1.0]], [[math.nan, 1.0]]),
        (C.one_hot, [[0.0, 1.0]], [[1.0, 1.0]]),
        (C.greater_than(torch.tensor([1.0, 2.0])), [2.0, 3.0], [2.0, 2.0]),
        (C.positive_definite, [[2.0, 0.0], [0.0, 1.0]], [[-2.0, 0.0], [0.0, 1.0]]),
    ],
)
def test_a_few_elements_hold_as_many_do(constraint: Any, good: list[Any], bad: list[Any]) -> None:
    for values, holds in ((good, True), (bad, False)):
        x = torch.tensor(values)
        assert constraint.holds(x) is holds
        assert bool(constraint.check(x).all()) is holds


@pytest.mark.parametrize("left", DIVERGENCES)
def test_divergence(left: str) -> None:
    a = made("D." + left)
    for right in DIVERGENCES:
        other = right.replace("S", "(S*1.3)").replace("(p", "(p*0.9").replace("P)", "P.flip(0))")
        value = shown(lambda other=other: D.kl_divergence(a, made("D." + other)))
        assert same(GOLDEN[f"kl {left} {right}"], value), (right, GOLDEN[f"kl {left} {right}"], value)


@pytest.mark.parametrize("text", GRADIENTS)
def test_gradients(text: str) -> None:
    a, b = L.clone().requires_grad_(), S.clone().requires_grad_()
    d = made("D." + text, a=a, b=b)
    torch.manual_seed(1)
    y = d.rsample((3,)) if d.has_rsample else d.sample((3,))
    total = d.log_prob(y).sum() + (y.sin().sum() if y.requires_grad else 0)
    grads = [g for g in torch.autograd.grad(total, [a, b], allow_unused=True) if g is not None]
    # PyTorch's derivative of beta variables is good to about 1e-3.
    assert same(GOLDEN["grad " + text], shown(lambda: torch.cat(grads)), 5e-3)


def test_registered_divergence_of_subclasses() -> None:
    class Narrow(D.Normal):
        pass

    class Wide(D.Normal):
        pass

    assert torch.equal(D.kl_divergence(Narrow(0.0, 1.0), Wide(0.0, 1.0)), t(0.0))

    @D.register_kl(Narrow, D.Normal)
    def first(p: Any, q: Any) -> str:
        return "first"

    @D.register_kl(D.Normal, Wide)
    def second(p: Any, q: Any) -> str:
        return "second"

    assert D.kl_divergence(Narrow(0.0, 1.0), D.Normal(0.0, 1.0)) == "first"
    with pytest.warns(RuntimeWarning, match="Ambiguous kl_divergence"):
        assert D.kl_divergence(Narrow(0.0, 1.0), Wide(0.0, 1.0)) == "first"
    for pair in ((Narrow, D.Normal), (D.Normal, Wide)):
        del D.kl._KL_REGISTRY[pair]
    D.kl._KL_MEMOIZE.clear()


def test_cached_transform_inverts_to_the_same_tensor() -> None:
    tr = T.SigmoidTransform(cache_size=1)
    x = torch.randn(3)
    assert tr.inv(tr(x)) is x
    assert tr.with_cache(0).inv(tr(x)) is not x


def test_own_init_needs_own_expand() -> None:
    class Mine(D.Normal):
        def __init__(self, loc: Any) -> None:
            super().__init__(loc, 1.0)

    with pytest.raises(NotImplementedError, match="Subclass Mine of Normal that defines a custom __init__ method"):
        Mine(0.0).expand((2,))


def test_warnings_are_none() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        D.Normal(L, S).sample((2,))


# ---- few parameters, which are looked at where they lie


@pytest.mark.parametrize("bad", [-1.0, 0.0, float("nan"), 3.0])
def test_bounds_refuse_what_is_outside_or_no_number(bad: float) -> None:
    c = torch.distributions.constraints
    x = torch.tensor([[1.0, 2.0], [1.5, bad]])
    good = {
        "real": bad == bad,
        "positive": bad > 0,
        "nonnegative": bad >= 0,
        "interval": 0 <= bad <= 2,
        "less": bad < 3,
        "half": 0 <= bad < 3,
    }
    sets = {
        "real": c.real,
        "positive": c.positive,
        "nonnegative": c.nonnegative,
        "interval": c.interval(0, 2),
        "less": c.less_than(3),
        "half": c.half_open_interval(0, 3),
    }
    for name, constraint in sets.items():
        assert constraint.holds(x) is good[name], name
        assert bool(constraint.check(x).all()) is good[name], name
        assert constraint.holds(x[:0]) is True
    assert c.independent(c.real, 1).holds(x) is (bad == bad)
    assert c.interval(0.1, 0.2).holds(torch.tensor([0.1, 0.2])) is True
    assert c.integer_interval(0, 3).holds(torch.tensor([0, 3])) is True
    assert c.integer_interval(0, 3).holds(torch.tensor([0, 4])) is False
    assert c.integer_interval(0, 3).holds(torch.tensor([-1, 3])) is False
    assert c.integer_interval(0, 3).holds(torch.tensor([0.5, 3])) is False


def test_logits_that_are_written_change_the_probabilities() -> None:
    logits = torch.tensor([[1.0, 2.0, 3.0]]) * 1
    d = torch.distributions.Categorical(logits=logits)
    assert "probs" not in vars(d)
    d.logits[0, 0] = 50.0
    assert d.probs[0].tolist() == pytest.approx([1, 0, 0], abs=1e-6)


@pytest.mark.usefixtures("one_thread")
def test_a_policy_asks_for_values_once_a_sample() -> None:
    from flambeau.graph.realisation import counters

    policy = torch.nn.Linear(4, 3)
    x = torch.randn(2, 4)
    runs = []
    with torch.no_grad():
        for _ in range(3):
            before = counters["realisations"]
            d = torch.distributions.Categorical(logits=policy(x))
            action = d.sample()
            log_prob, entropy = d.log_prob(action), d.entropy()
            action.numpy()
            runs.append(counters["realisations"] - before)
    assert runs[-1] == 1
    assert torch.allclose(log_prob, d.logits.gather(1, action[:, None])[:, 0])
    assert torch.allclose(entropy, -(d.probs * d.logits).sum(-1))
