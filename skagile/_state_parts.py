"""Fitted scikit-learn estimators in a state: those on the list below, by the arrays that prediction needs.

A state never says what class to make: the owner gives an unfitted estimator with its parameters, and the state fills
it. Trees are rebuilt from their nodes, which are checked to lead down and to end.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from sklearn.base import clone

from skagile._state import (
    Array,
    Field,
    Labels,
    Number,
    Optional,
    Stateful,
    check,
    check_keys,
    features_in,
    pack,
    refusal,
    unpack,
)

_LEAF = -1
# Boosting is fitted on a toy when a state is taken: seconds and 128 MiB at most.
_MOST_BOOSTED, _MOST_TOYS = 10_000, 1 << 24


@dataclass(frozen=True)
class Part(Field):
    """A fitted estimator: one of skagile, or one of scikit-learn that is on the list.

    Parameters
    ----------
    make : callable
        Makes an unfitted one with the right parameters.
    classes : ndarray, default=None
        The ``classes_`` it must have; None asks for none.
    n_features : int, default=None
        The ``n_features_in_`` it must have; None asks for none.
    """

    make: Callable | None = None
    classes: np.ndarray | None = None
    n_features: int | None = None

    def plain(self, value: object, where: str) -> object:
        if isinstance(value, Stateful):
            return value._get_state()
        return pack(value, _fields_of(value, where))

    def value(self, plain: object, where: str) -> object:
        part = clone(self.make())
        if isinstance(part, Stateful):
            part._set_state(plain, where)
        else:
            unpack(part, _fields_of(part, where), plain, where)
        if self.classes is not None:
            check(np.array_equal(part.classes_, self.classes), where, "has other classes than its owner")
        if self.n_features is not None:
            n_features = part.n_features_in_
            check(n_features == self.n_features, where, f"takes {n_features} features; expected {self.n_features}")
        return part


def _fields_of(part, where):
    """Fields of an estimator on the list, by its exact class."""
    cls = type(part)
    if not cls.__module__.startswith("sklearn.") or cls.__name__ not in _FIELDS:
        raise ValueError(
            f"{where} is a {cls.__module__}.{cls.__name__}, whose fitted state cannot be given as plain data. Use one "
            f"of {', '.join(_FIELDS)}, or keep the estimator in memory."
        )
    return _FIELDS[cls.__name__](part)


def _discriminants(lda) -> Iterator[Field]:
    yield from _linear(lda)
    n_classes, n_features = len(lda.classes_), lda.n_features_in_
    yield Array("means_", shape=(n_classes, n_features))
    yield Array("priors_", shape=(n_classes,), low=0, high=1)
    if lda.solver != "lsqr":
        yield Number("_max_components", low=1, high=n_features)
        yield Array("xbar_", shape=(n_features,))
        yield Array("scalings_", shape=(n_features, None))


def _linear(classifier) -> Iterator[Field]:
    yield Labels("classes_")
    yield from features_in(classifier)
    n_rows = 1 if len(classifier.classes_) == 2 else len(classifier.classes_)
    yield Array("coef_", shape=(n_rows, classifier.n_features_in_))
    yield Array("intercept_", shape=(n_rows,))


def _logistic(classifier) -> Iterator[Field]:
    yield from _linear(classifier)
    yield Array("n_iter_", "int", low=0)


def _pca(pca) -> Iterator[Field]:
    yield from features_in(pca)
    yield Number("n_components_", low=1, high=pca.n_features_in_)
    yield Array("mean_", shape=(pca.n_features_in_,))
    yield Array("components_", shape=(pca.n_components_, pca.n_features_in_))
    yield Array("explained_variance_", shape=(pca.n_components_,), low=0)
    yield Array("explained_variance_ratio_", shape=(pca.n_components_,), may_hold=("nan",))
    yield Array("singular_values_", shape=(pca.n_components_,), low=0)
    yield Number("noise_variance_", float)
    yield Number("n_samples_", low=1)


def _truncated_svd(svd) -> Iterator[Field]:
    yield from features_in(svd)
    yield Array("components_", shape=(None, svd.n_features_in_))
    n_components = len(svd.components_)
    yield Array("explained_variance_", shape=(n_components,), low=0)
    yield Array("explained_variance_ratio_", shape=(n_components,), may_hold=("nan",))
    yield Array("singular_values_", shape=(n_components,), low=0)


def _scaler(scaler) -> Iterator[Field]:
    yield from features_in(scaler)
    for name, low in (("mean_", None), ("var_", 0), ("scale_", 0)):
        yield Optional(name, Array(name, shape=(scaler.n_features_in_,), low=low))


def _clusters(clusters) -> Iterator[Field]:
    from sklearn.utils._openmp_helpers import _openmp_effective_n_threads

    yield from features_in(clusters)
    yield Array("cluster_centers_", shape=(None, clusters.n_features_in_))
    check(len(clusters.cluster_centers_) > 0, type(clusters).__name__, "holds no clusters")
    clusters._n_threads = _openmp_effective_n_threads()  # of this machine
    clusters._n_features_out = len(clusters.cluster_centers_)


def _pipeline(pipeline) -> Iterator[Field]:
    for i, (name, step) in enumerate(pipeline.steps):
        if not isinstance(step, str) and step is not None:
            yield _Step(name, lambda step=step: step, place=i)


@dataclass(frozen=True)
class _Step(Part):
    """Step of a pipeline, by its place."""

    place: int = 0

    def pack(self, owner: object, where: str) -> object:
        return self.plain(owner.steps[self.place][1], where)

    def unpack(self, owner: object, plain: object, where: str) -> None:
        owner.steps[self.place] = (self.name, self.value(plain, where))


# ---------------------------------------------------------------------------------------------------------------- trees

# By scikit-learn's own names. What is no number of the tree's shape may be infinite: a split off of what is missing is.
_NODES = {
    "left_child": "int",
    "right_child": "int",
    "feature": "int",
    "threshold": "float",
    "missing_go_to_left": "bool",
    "impurity": "float",
    "n_node_samples": "int",
    "weighted_n_node_samples": "float",
}
_BOOSTED_NODES = {
    "left": "int",
    "right": "int",
    "is_leaf": "bool",
    "feature_idx": "int",
    "num_threshold": "float",
    "missing_go_to_left": "bool",
    "value": "float",
    "count": "int",
    "gain": "float",
    "depth": "int",
    "bin_threshold": "int",
}


def _forest(forest) -> Iterator[Field]:
    yield Labels("classes_")
    yield from features_in(forest)
    yield _Trees("estimators_", forest=forest)
    forest.n_classes_, forest.n_outputs_ = len(forest.classes_), 1


def _boosting(boosting) -> Iterator[Field]:
    yield Labels("classes_")
    yield from features_in(boosting)
    size = len(boosting.classes_), boosting.n_features_in_
    if size[1] > _MOST_BOOSTED or size[0] * size[1] > _MOST_TOYS:
        raise ValueError(
            f"{type(boosting).__name__} is of {size[0]} classes and {size[1]} features; a state holds at most "
            f"{_MOST_BOOSTED} features, and {_MOST_TOYS} of both multiplied. Use fewer features."
        )
    if not hasattr(boosting, "_predictors"):
        _fit_toy(boosting)
    n_trees = boosting.n_trees_per_iteration_
    yield Array("_baseline_prediction", shape=(1, n_trees))
    yield _BoostedTrees("_predictors", n_features=boosting.n_features_in_, n_trees=n_trees)


def _fit_toy(boosting):
    """Fit on one row a class, so that all that scikit-learn keeps beside the trees is right for its version."""
    labels, names = boosting.classes_, getattr(boosting, "feature_names_in_", None)
    toy = clone(boosting).set_params(max_iter=1, early_stopping=False, random_state=0, class_weight=None)
    toy.fit(np.zeros((len(labels), boosting.n_features_in_)), labels)
    params = boosting.get_params(deep=False)
    vars(boosting).update({name: value for name, value in vars(toy).items() if name not in params})
    boosting.classes_ = labels
    if names is not None:
        boosting.feature_names_in_ = names


@dataclass(frozen=True)
class _Nodes(Field):
    """Nodes of trees, end to end: an array for each of their columns, and the number of each tree's."""

    columns: tuple = ()
    n_features: int = 1

    def plain(self, value: object, where: str) -> object:
        nodes = np.concatenate(value)
        arrays = {name: nodes[name].astype({"int": np.int64, "float": np.float64, "bool": bool}[kind])
                  for name, kind in self.columns}  # fmt: skip
        return {"n_nodes": np.array([len(tree) for tree in value]), **arrays}

    def value(self, plain: object, where: str) -> object:
        check_keys(plain, ["n_nodes", *(name for name, _ in self.columns)], where)
        n_nodes = Array("n_nodes", "int", low=1, high=2**31).value(plain["n_nodes"], f"{where}.n_nodes")
        check(len(n_nodes) > 0, where, "holds no tree")
        total = int(n_nodes.sum())
        arrays = {
            name: Array(name, kind, shape=(total,), may_hold=("inf",)).value(plain[name], f"{where}.{name}")
            for name, kind in self.columns
        }
        ends = np.cumsum(n_nodes)
        return [
            {name: array[end - size : end] for name, array in arrays.items()}
            for size, end in zip(n_nodes, ends, strict=True)
        ]


def _check_tree(left, right, leaf, feature, n_features, where):
    """Check that a tree leads down and ends.

    Both children of a node stand behind it, and every node but the first is the child of one.
    """
    place, n_nodes = np.arange(len(left)), len(left)
    inner = ~leaf
    down = (left > place) & (right > place) & (left < n_nodes) & (right < n_nodes)
    check(down[inner].all(), where, "holds a tree whose nodes do not lead down to leaves")
    children = np.concatenate([left[inner], right[inner]])
    check(np.array_equal(np.sort(children), place[1:]), where, "holds a tree with a node of no or two parents")
    known = (feature >= 0) & (feature < n_features)
    check(known[inner].all(), where, "holds a tree that asks for a feature there is not")


@dataclass(frozen=True)
class _Trees(Field):
    """Trees of a forest, as what scikit-learn's own predictor needs."""

    forest: object = None

    def _nodes(self):
        return _Nodes("nodes", tuple(_NODES.items()), self.forest.n_features_in_)

    def plain(self, value: object, where: str) -> object:
        if self.forest.n_outputs_ != 1:
            raise ValueError(f"{where} has {self.forest.n_outputs_} outputs; a state holds forests of one. Fit on one.")
        states = [tree.tree_.__getstate__() for tree in value]
        return {
            **self._nodes().plain([state["nodes"] for state in states], where),
            "share": np.concatenate([state["values"][:, 0] for state in states]),
            "max_depth": np.array([state["max_depth"] for state in states]),
        }

    def value(self, plain: object, where: str) -> object:
        check(type(plain) is dict and {"share", "max_depth"} <= set(plain), where, "lacks 'share' or 'max_depth'")
        forest, plain = self.forest, dict(plain)
        share, max_depth = plain.pop("share"), plain.pop("max_depth")
        trees = self._nodes().value(plain, where)
        n_wanted = forest.n_estimators
        check(len(trees) == n_wanted, where, f"holds {len(trees)} trees; the parameters ask for {n_wanted}")
        total, n_classes = sum(len(tree["feature"]) for tree in trees), len(forest.classes_)
        share = Array("share", shape=(total, n_classes), low=0, high=1 + 1e-9).value(share, f"{where}.share")
        max_depth = Array("max_depth", "int", (len(trees),), low=0).value(max_depth, f"{where}.max_depth")
        out, start = [], 0
        for tree, depth in zip(trees, max_depth, strict=True):
            leaf = tree["left_child"] == _LEAF
            check((tree["right_child"][leaf] == _LEAF).all(), where, "holds a node with one child")
            _check_tree(tree["left_child"], tree["right_child"], leaf, tree["feature"], forest.n_features_in_, where)
            size = len(leaf)
            out.append(_tree(forest, tree, share[start : start + size], int(depth)))
            start += size
        return out


def _tree(forest, columns, share, max_depth):
    """Make a fitted tree of a forest."""
    from sklearn.tree._tree import NODE_DTYPE, Tree

    nodes = np.zeros(len(share), dtype=NODE_DTYPE)
    for name, column in columns.items():
        nodes[name] = column
    built = Tree(forest.n_features_in_, np.array([len(forest.classes_)], dtype=np.intp), 1)
    values = np.ascontiguousarray(share[:, None, :])
    built.__setstate__({"max_depth": max_depth, "node_count": len(nodes), "nodes": nodes, "values": values})
    tree = clone(forest.estimator)
    tree.set_params(**{name: getattr(forest, name) for name in forest.estimator_params if name != "random_state"})
    # The trees of a forest know its classes by number.
    tree.classes_, tree.n_classes_, tree.n_outputs_ = np.arange(len(forest.classes_)), len(forest.classes_), 1
    tree.n_features_in_, tree.tree_ = forest.n_features_in_, built
    return tree


@dataclass(frozen=True)
class _BoostedTrees(Field):
    """Trees of gradient boosting, by iteration."""

    n_features: int = 1
    n_trees: int = 1

    def _nodes(self):
        return _Nodes("nodes", tuple(_BOOSTED_NODES.items()), self.n_features)

    def plain(self, value: object, where: str) -> object:
        trees = [tree.nodes for iteration in value for tree in iteration]
        if any(nodes["is_categorical"].any() for nodes in trees):
            raise ValueError(f"{where} splits by categories, which a state does not hold. Fit on numbers.")
        return self._nodes().plain(trees, where)

    def value(self, plain: object, where: str) -> object:
        trees = self._nodes().value(plain, where)
        check(len(trees) % self.n_trees == 0, where, f"holds {len(trees)} trees, no multiple of {self.n_trees}")
        for tree in trees:
            left, right = tree["left"], tree["right"]
            _check_tree(left, right, tree["is_leaf"], tree["feature_idx"], self.n_features, where)
            check(np.isfinite(tree["value"]).all(), where, "holds infinite values")
        predictors = [_predictor(tree, where) for tree in trees]
        return [predictors[i : i + self.n_trees] for i in range(0, len(predictors), self.n_trees)]


def _predictor(columns, where):
    from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor

    nodes = np.zeros(len(columns["left"]), dtype=PREDICTOR_RECORD_DTYPE)
    for name, column in columns.items():
        if nodes.dtype[name].kind == "u" and column.dtype.kind == "i":
            bound = np.iinfo(nodes.dtype[name]).max
            if (column < 0).any() or (column > bound).any():
                raise refusal(where, f"holds values of {name} beyond 0 ... {bound}")
        nodes[name] = column
    no_categories = np.zeros((0, 8), dtype=np.uint32)
    return TreePredictor(nodes, no_categories, no_categories)


# Where the classes of the list are.
HOME_OF_PARTS = {
    "ExtraTreesClassifier": "sklearn.ensemble",
    "HistGradientBoostingClassifier": "sklearn.ensemble",
    "KMeans": "sklearn.cluster",
    "LinearDiscriminantAnalysis": "sklearn.discriminant_analysis",
    "LogisticRegression": "sklearn.linear_model",
    "MiniBatchKMeans": "sklearn.cluster",
    "PCA": "sklearn.decomposition",
    "Pipeline": "sklearn.pipeline",
    "RandomForestClassifier": "sklearn.ensemble",
    "StandardScaler": "sklearn.preprocessing",
    "TruncatedSVD": "sklearn.decomposition",
}
_FIELDS = {
    "ExtraTreesClassifier": _forest,
    "HistGradientBoostingClassifier": _boosting,
    "KMeans": _clusters,
    "LinearDiscriminantAnalysis": _discriminants,
    "LogisticRegression": _logistic,
    "MiniBatchKMeans": _clusters,
    "PCA": _pca,
    "Pipeline": _pipeline,
    "RandomForestClassifier": _forest,
    "StandardScaler": _scaler,
    "TruncatedSVD": _truncated_svd,
}
