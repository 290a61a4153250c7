interval = null
