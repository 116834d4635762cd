"""A linear map that gives embeddings unit covariance, also where there are fewer of them than they
have numbers.
"""

import numpy as np

from oddframe.types import Floats

LEAST_SHRINKAGE = 0.01  # so that directions never seen are strange but not infinitely so


def whitening(differences: Floats) -> Floats:
    """(D, D) from (M, D) differences of mean zero: multiplied by it they have unit covariance, as
    far as can be told.

    The covariance is shrunk towards a multiple of the identity by as much as Ledoit & Wolf (2004)
    find best, and by at least a hundredth.
    """
    from sklearn.covariance import ledoit_wolf_shrinkage

    M, D = differences.shape
    mean_variance = float(np.square(differences).mean())
    if mean_variance == 0:  # one clip a class, or all of them alike: nothing is known of spread
        return np.eye(D)
    found = float(ledoit_wolf_shrinkage(differences, assume_centered=True))
    shrinkage = max(LEAST_SHRINKAGE, found)
    least = shrinkage * mean_variance  # the variance of directions that no clip has
    if M < D:  # as many directions as clips are enough
        _, sizes, rows = np.linalg.svd(differences, full_matrices=False)
        values = (1 - shrinkage) * sizes**2 / M
        axes = rows.T
    else:
        values, axes = np.linalg.eigh((1 - shrinkage) * differences.T @ differences / M)
    factors = 1 / np.sqrt(np.maximum(values, 0) + least) - 1 / np.sqrt(least)
    return np.asarray(np.eye(D) / np.sqrt(least) + (axes * factors) @ axes.T)
