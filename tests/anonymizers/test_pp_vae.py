"""PPVAEAnonymizer: what readers still find, trained on originals or anew, what stays, and what it hangs on."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skagile import PPVAEAnonymizer
from skagile._training import RowsDataset, seeded, train_net
from skagile.anonymizers._pp_vae._anonymizer import expected_of
from skagile.anonymizers._pp_vae._net import PPVAENet
from skagile.anonymizers._pp_vae._readers import make_judge, make_readers
from skagile.anonymizers._uniform import known_mean
from skagile.networks import BranchedVAE, CNNEncoder, latent_divergence

QUICK = {"max_epochs": 2, "random_state": 0, "device": "cpu"}
HIDDEN = ("sex", "age")


def _z(X):
    return (X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True)


def cohort(n_people=60, n_beats=6, seed=0):
    """Beats of three waves: the sex shifts T, the age makes P higher, the diagnosis makes R wide; the rest is own."""
    rng = np.random.default_rng(seed)
    own = rng.uniform(-1, 1, size=(n_people, 4))
    sex, old = rng.integers(2, size=(2, n_people))
    subjects = np.repeat(np.arange(n_people), n_beats)
    y = np.tile(np.arange(n_beats) % 2, n_people)
    time, o = np.arange(0, 64, 2)[None], own[subjects][..., None]
    is_male, is_old = sex[subjects][:, None], old[subjects][:, None]
    X = (0.25 + 0.15 * is_old + 0.05 * o[:, 0]) * np.exp(-0.5 * ((time - 12 - o[:, 1]) / 2.5) ** 2)
    X = X + np.exp(-0.5 * ((time - 25) / np.where(y == 1, 3.5, 1.8)[:, None]) ** 2)
    X = X + 0.4 * (1 + 0.2 * o[:, 2]) * np.exp(-0.5 * ((time - 44 - 5 * is_male - 2 * o[:, 3]) / 4) ** 2)
    age = np.where(old == 1, 70.0, 40.0) + 10 * own[:, 0]
    facts = {"sex": np.array(["f", "m"])[sex[subjects]], "age": age[subjects]}
    return X + rng.normal(scale=0.03, size=X.shape), y, subjects, facts


@pytest.fixture(scope="module")
def fitted():
    """Fit on the first cohort once for each setting: never change what it gives."""
    cache = {}

    def get(**params):
        key = tuple(sorted(params.items()))
        if key not in cache:
            X, y, subjects, facts = cohort()
            settings = {"suppress": HIDDEN, "random_state": 0, "device": "cpu", **params}
            cache[key] = PPVAEAnonymizer(**settings).fit(X, y, subjects=subjects, facts=facts)
        return cache[key]

    return get


def _small(**params):
    X, y, subjects, facts = cohort(8, 6)
    return PPVAEAnonymizer(**{**QUICK, **params}).fit(X, y, subjects=subjects, facts=facts), X


def regression(X, codes):
    """Fresh linear reader; returns what scores beats."""
    return LogisticRegression(C=0.1, max_iter=300).fit(_z(X), codes).decision_function


def cnn(X, codes):
    """Fresh convolutional reader, of another kernel than those trained against."""
    with seeded(5):
        encoder = CNNEncoder(channels=(8, 16, 24), kernel_size=5)
        module = nn.Sequential(encoder, nn.ReLU(), nn.Linear(encoder.n_features_out, 2))
        data = RowsDataset(_z(X), codes)
        settings = {"n_epochs": 6, "lr": 0.004, "batch_size": 64, "device": torch.device("cpu")}
        net = train_net(module, data, criterion=nn.CrossEntropyLoss, **settings)

    def score(Z):
        with torch.no_grad():
            logits = net.module_(torch.as_tensor(Z, dtype=torch.float32)[:, None]).numpy()
        return logits[:, 1] - logits[:, 0]

    return score


def _codes(facts):
    return {"sex": (facts["sex"] == "m").astype(int), "age": (facts["age"] > 55).astype(int)}


def read(read_by, anonymizer=None, *, retrained=True):
    """Area under the curve of each fact and the diagnosis, on people who were not fitted."""
    (X, y, _, facts), (X_new, y_new, _, new_facts) = cohort(), cohort(seed=1)
    learnt, tested = X, X_new
    if anonymizer is not None:
        learnt, tested = anonymizer.transform(X) if retrained else X, anonymizer.transform(X_new)
    known = {**_codes(facts), "y": y}
    asked = {**_codes(new_facts), "y": y_new}
    return {name: roc_auc_score(asked[name], read_by(learnt, known[name])(_z(tested))) for name in known}


# --- what readers find ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reader", [regression, cnn])
def test_fresh_readers_lose_the_facts_and_keep_the_diagnosis(fitted, reader):
    clean = read(reader)
    assert min(clean.values()) > 0.9
    for retrained in (False, True):
        left = read(reader, fitted(), retrained=retrained)
        assert max(left["sex"], 1 - left["sex"]) < 0.7
        assert max(left["age"], 1 - left["age"]) < 0.7
        assert left["y"] > 0.95


def test_it_is_the_suppressing_branches_that_do_it(fitted):
    assert read(regression, fitted(privacy_weight=0.0))["sex"] > read(regression, fitted())["sex"] + 0.2


@pytest.mark.parametrize("branches", ["latent", "output"])
def test_either_branch_suppresses(fitted, branches):
    assert (
        read(regression, fitted(branches=branches))["sex"] < read(regression, fitted(privacy_weight=0.0))["sex"] - 0.1
    )


def test_a_fact_that_is_not_named_stays(fitted):
    """Sex is not hidden by who hides the age."""
    left = read(regression, fitted(suppress=("age",)))["sex"]
    assert left > read(regression, fitted())["sex"] + 0.15


def _told(net, X, y, facts):
    """Share of beats whose sex the readers of a net name right."""
    x = torch.as_tensor(_z(X), dtype=torch.float32)[:, None]
    with torch.no_grad(), seeded(0):
        shown = net.released(net.make(x, {"y": torch.as_tensor(y)}))
        answers = [logits[0].argmax(dim=1).numpy() for logits in net._read(shown, x)]
    return [np.mean(own == _codes(facts)["sex"]) for own in answers]


def test_the_secret_is_harder_for_the_readers_it_was_trained_against(fitted):
    """Beside an autoencoder that does not mind its readers, which are trained just as long."""
    X, y, _, facts = cohort()
    trained, careless = (_told(fitted(**params).net_, X, y, facts) for params in ({}, {"privacy_weight": 0.0}))
    assert len(trained) == 2
    for own, other in zip(trained, careless, strict=True):
        assert other > 0.85
        assert own < other - 0.2


def test_it_is_the_draw_that_hides_from_readers_who_scale(fitted):
    """What is suppressed is made small against the draws: without them, who scales every sample finds it again."""

    def scaled(X, codes):
        return (
            make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300)).fit(_z(X), codes).decision_function
        )

    assert read(scaled, fitted())["sex"] < 0.7
    assert read(scaled, fitted(draw=False))["sex"] > 0.9


def test_loss_falls_and_beats_are_rebuilt(fitted):
    loss = fitted().net_.history[:, "train_loss"]
    assert loss[-1] < 0.6 * loss[0]
    X = cohort(seed=1)[0]
    Z = _z(X)
    own, careless = (np.mean((_z(fitted(**p).transform(X)) - Z) ** 2) for p in ({}, {"privacy_weight": 0.0}))
    assert careless < own < 0.85 * np.mean((Z - Z.mean(axis=0)) ** 2)


def test_subjects_are_harder_to_name():
    X, y, subjects, _ = cohort(8, 48)
    half = np.arange(len(X)) % 48 < 24
    named = {}
    for weight in (0.0, 3.0):
        vae = PPVAEAnonymizer(privacy_weight=weight, beta=0.003, random_state=0, device="cpu").fit(
            X, y, subjects=subjects
        )
        Z = _z(vae.transform(X))
        named[weight] = LogisticRegression(max_iter=300).fit(Z[half], subjects[half]).score(Z[~half], subjects[~half])
    assert named[3.0] < named[0.0] - 0.15
    assert named[3.0] < 0.6


# --- the loss -------------------------------------------------------------------------------------------------------


def _net(n_values=(2, 3), **params):
    """A net that is ready and not trained, and a batch."""
    torch.manual_seed(0)
    vae = BranchedVAE(n_samples=16, n_classes=2, n_latent=3, channels=(4, 8))
    readers = nn.ModuleDict(make_readers(vae, n_values, "both"))
    readers["judge"] = make_judge(1, 2)
    y = torch.arange(12) % 2
    facts = torch.stack([torch.arange(12) % n for n in n_values], dim=1)
    expected = [expected_of(codes.numpy(), n, y.numpy(), 2) for codes, n in zip(facts.T, n_values, strict=True)]
    net = PPVAENet(vae, adversaries=[readers], expected=expected, n_values=n_values, verbose=0, **params)
    net.initialize()
    net.module_.eval()
    net.adversary_.eval()
    return net, torch.randn(12, 1, 16), {"y": y, "facts": facts}


def test_loss_is_the_sum_of_its_terms():
    net, X, target = _net(beta=0.3, clinical_weight=0.7, privacy_weight=1.9)
    with torch.no_grad():
        made = net.make(X, target)
        mean, log_variance, rebuilt, latent, beats = made
        cross_entropy = nn.functional.cross_entropy
        clinical = cross_entropy(net.module_.branch(latent), target["y"])
        clinical = (clinical + cross_entropy(net.adversary_[0]["judge"](beats), target["y"])) / 2
        told = 0.0
        for name, part in {"latent": latent, "output": beats}.items():
            for logits, expected in zip(net.adversary_[0][name](part), net.expected, strict=True):
                law = torch.distributions.Categorical(probs=expected[target["y"]])
                answer = torch.distributions.Categorical(logits=logits)
                told = told + torch.distributions.kl_divergence(law, answer).mean() / 2
        expected = (rebuilt - X).square().mean() + 0.3 * latent_divergence(mean, log_variance).mean()
        expected = expected + 0.7 * clinical + 1.9 * told
        torch.testing.assert_close(net.module_loss(X, made, target), expected)


def test_unknown_facts_are_left_out():
    """Whatever stands in their rows, the loss of the facts is that of the other rows; none known is no loss."""
    net, X, target = _net()
    with torch.no_grad():
        shown = net.released(net.make(X, target))
        some = {**target, "facts": target["facts"].clone()}
        some["facts"][6:] = -1
        first = {name: codes[:6] for name, codes in target.items()}
        torch.testing.assert_close(net._told(shown, X, some), net._told(shown[:6], X[:6], first))
        none = {**target, "facts": torch.full_like(target["facts"], -1)}
        assert net._told(shown, X, none) == 0
        judge = net.adversary_loss(X, shown, none)
        assert net.adversary_loss(X, shown, some) > judge
        facts_loss = net.adversary_loss(X, shown, some) - judge
        first_half = net.adversary_loss(X[:6], shown[:6], first)
        half_judge = net.adversary_loss(X[:6], shown[:6], {**first, "facts": none["facts"][:6]})
        torch.testing.assert_close(facts_loss, first_half - half_judge)


def test_known_mean():
    assert known_mean(torch.tensor([1.0, 5.0, 3.0]), torch.tensor([0, -1, 1])) == 2.0
    assert known_mean(torch.tensor([1.0, 5.0]), torch.tensor([-1, -1])) == 0.0


def test_what_the_diagnosis_says_is_counted_per_beat():
    codes, y = np.array([0, 0, 1, -1, 1, 1]), np.array([0, 0, 0, 0, 1, 1])
    np.testing.assert_allclose(expected_of(codes, 2, y, 2), [[3 / 5, 2 / 5], [1 / 4, 3 / 4]])


def test_a_beat_with_unknown_facts_can_be_fitted():
    X, y, subjects, facts = cohort(8, 6)
    facts["sex"] = np.where(subjects < 4, facts["sex"], "")
    facts["age"] = np.where(subjects < 2, np.nan, facts["age"])
    vae = PPVAEAnonymizer(suppress=HIDDEN, **QUICK).fit(X, y, subjects=subjects, facts=facts)
    assert np.isfinite(vae.transform(X)).all()


# --- options --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("branches", "readers"), [("latent", {"latent"}), ("output", {"output"}), ("both", {"latent", "output"})]
)
def test_branches(branches, readers):
    vae, _ = _small(branches=branches, suppress=("subject", "sex", "age"))
    assert set(vae.net_.adversary_[0]) == {*readers, "judge"}
    for name in readers:
        assert [head.out_features for head in vae.net_.adversary_[0][name].heads] == [8, 2, 2]


@pytest.mark.parametrize(("every", "expected"), [(1, 4), (2, 2), (4, 1), (9, 1)])
def test_readers_start_again_as_often_as_asked(monkeypatch, every, expected):
    turns, restart = [], PPVAENet.restart_readers
    monkeypatch.setattr(PPVAENet, "restart_readers", lambda self, turn: turns.append(turn) or restart(self, turn))
    vae, _ = _small(max_epochs=4, reinitialize_every=every)
    assert turns == list(range(1, expected))
    taught = vae.net_.adversary_[0]["output"].heads[0].weight
    assert any(taught is weight for weight in vae.net_.adversary_optimizer_.state)


def test_drawn_beats_differ_where_beats_differ_by_a_bit_and_means_do_not():
    for draw in (True, False):
        vae, X = _small(draw=draw, max_epochs=4)
        twins = np.stack([X[0], X[0] + 1e-6])
        assert (np.abs(np.diff(vae.transform(twins), axis=0)).max() > 1e-3) == draw
        assert hasattr(vae, "_noise_seed") == draw


def test_drawn_beats_scatter_as_their_law_says():
    """Through a decoder that shows one latent variable, a beat's twins have its mean and spread."""
    vae, X = _small(n_latent=2, level="common")
    module = vae.net_.module_
    noise = torch.randn(3000, 2)
    x = torch.as_tensor(_z(X[:1]), dtype=torch.float32)[:, None]
    with torch.no_grad():
        mean, log_variance = module.encode(x)
        drawn = mean + noise * (log_variance / 2).exp()
        twins = module(x.expand(3000, -1, -1), noise)
        torch.testing.assert_close(twins, module.decode(drawn), rtol=1e-4, atol=1e-4)
    assert float(drawn.std(dim=0)[0]) == pytest.approx(float((log_variance[0, 0] / 2).exp()), rel=0.1)


def test_more_beta_is_less_divergence():
    told = []
    for beta in (0.0, 0.3):
        vae, X = _small(beta=beta, privacy_weight=0.0, max_epochs=40)
        with torch.no_grad():
            law = vae.net_.module_.encode(torch.as_tensor(_z(X), dtype=torch.float32)[:, None])
        told.append(float(latent_divergence(*law).mean()))
    assert told[1] < 0.5 * told[0]


def test_clinical_weight_keeps_the_diagnosis():
    """A diagnosis that is a small bump is lost by who rebuilds little, and kept where it has a price."""
    rng = np.random.default_rng(0)
    y, time = np.arange(240) % 2, np.arange(48)
    X = np.exp(-0.5 * ((time - 24) / (3 + rng.random((240, 1)))) ** 2)
    X = X + 0.12 * y[:, None] * np.exp(-0.5 * ((time - 38) / 2) ** 2) + 0.02 * rng.standard_normal((240, 48))
    kept = {}
    for weight in (0.0, 3.0):
        params = {"clinical_weight": weight, "beta": 0.1, "n_latent": 4, "privacy_weight": 0.0, "random_state": 0}
        released = PPVAEAnonymizer(**params).fit(X, y, subjects=np.arange(240) // 20).transform(X)
        kept[weight] = roc_auc_score(y, regression(X, y)(_z(released)))
    assert kept[3.0] > 0.9
    assert kept[0.0] < kept[3.0] - 0.1


def test_fewer_latent_variables_are_fewer():
    vae, X = _small(n_latent=3)
    assert vae.net_.module_.law.out_features == 6
    assert np.linalg.matrix_rank(vae.net_.module_.first.weight.detach().numpy()) == 3
    assert vae.transform(X).shape == X.shape


def test_levels():
    vae, X = _small()
    mine = X[:3] * np.array([[0.5], [1], [9]]) + np.arange(3)[:, None]
    released = vae.transform(mine)
    np.testing.assert_allclose(released.mean(axis=1), np.median(X.mean(axis=1)), atol=1e-6)
    np.testing.assert_allclose(released.std(axis=1), np.median(X.std(axis=1)), atol=1e-6)
    own = _small(level="own")[0].transform(mine)
    np.testing.assert_allclose(own.mean(axis=1), mine.mean(axis=1), atol=1e-5)
    np.testing.assert_allclose(own.std(axis=1), mine.std(axis=1), rtol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "facts"),
    [
        ({"suppress": ("sex",)}, None),
        ({"suppress": ("height",)}, "all"),
        ({"suppress": ()}, "all"),
        ({"suppress": ("sex", "sex")}, "all"),
        ({"branches": "all"}, "all"),
        ({"n_latent": 0}, "all"),
        ({"beta": -0.1}, "all"),
        ({"clinical_weight": -1}, "all"),
        ({"privacy_weight": -1}, "all"),
        ({"reinitialize_every": 0}, "all"),
    ],
)
def test_settings_out_of_range_are_named(wrong, facts):
    X, y, subjects, given = cohort(4, 4)
    name, value = next(iter(wrong.items()))
    with pytest.raises(
        ValueError, match=value[0] if name == "suppress" and len(set(value)) == 1 == len(value) else name
    ):
        PPVAEAnonymizer(**wrong, **QUICK).fit(X, y, subjects=subjects, facts=given if facts else None)


# --- what the answer must not hang on -------------------------------------------------------------------------------


def test_result_does_not_hang_on_batches_order_threads_or_global_seeds():
    vae, X = _small(suppress=("subject", "sex"))
    whole = vae.transform(X)
    threads = torch.get_num_threads()
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    try:
        torch.set_num_threads(threads + 1)
        np.testing.assert_array_equal(_small(suppress=("subject", "sex"))[0].transform(X), whole)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.random.get_rng_state(), before)
    np.testing.assert_allclose(vae.transform(X[::-1])[::-1], whole, rtol=0, atol=1e-5)
    np.testing.assert_allclose(vae.transform(X[7:20]), whole[7:20], rtol=0, atol=1e-5)
    for size in (1, 7):
        np.testing.assert_allclose(vae.set_params(transform_batch_size=size).transform(X), whole, rtol=0, atol=1e-5)
    assert np.abs(_small(random_state=1)[0].transform(X) - whole).max() > 1e-3


def test_pickled_and_restored_release_alike():
    vae, X = _small(suppress=("sex",))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(vae)).transform(X), vae.transform(X))
    again = PPVAEAnonymizer(**vae.get_params())
    again._set_state(vae._get_state())
    np.testing.assert_array_equal(again.transform(X), vae.transform(X))
    assert not hasattr(vae, "_fact_codes")


def test_missing_leads_stay_missing_and_do_not_disturb_the_others():
    rng = np.random.default_rng(0)
    X = cohort(8, 6)[0][:, None, None] * np.array([1.0, -0.5])[:, None] + 0.01 * rng.standard_normal((48, 1, 2, 32))
    X[::3, :, 1] = np.nan
    vae = PPVAEAnonymizer(**QUICK).fit(X, np.arange(48) % 2, subjects=np.arange(48) // 6)
    released = vae.transform(X)
    np.testing.assert_array_equal(np.isnan(released), np.isnan(X))
