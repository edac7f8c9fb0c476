"""One fine-tuned network per object, or one per video (Cheng et al. 2017)."""
