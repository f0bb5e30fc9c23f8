# A store of its own, as init makes it.
langkeys -q init
